"""An account as the contract shows it: the snapshot that events carry, and the fuller one of the risk cache.

Owns the rounding of what is shown (16 significant digits; money itself is never rounded here). Uses prices of any age,
because a display needs a number; a position that never had a price counts as unmoved. Used by events and caches.
"""

from collections.abc import Callable
from decimal import Context, Decimal
from itertools import islice

from pms_common.contracts.account import AccountSnapshot, RiskOrder, RiskPosition, RiskSnapshot, SnapshotPosition
from pms_common.decimals import ZERO
from pms_risk.domain.account import Account, Marks
from pms_risk.domain.evaluation import Standing, cash_behind, evaluate, static_price
from pms_risk.domain.maintenance import Brackets
from pms_risk.domain.math import Leg
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.position import Position

shown: Callable[[Decimal], Decimal] = Context(prec=16).plus
"""A quotient with as many digits as a double holds."""
_HUNDRED = Decimal(100)
MAX_SHOWN_ORDERS = 200
"""Of the open orders in the risk cache: as many as an account may have by default; more would stall the service."""


def snapshot(account: Account, marks: Marks) -> AccountSnapshot:
    """What events carry."""
    pnl, _ = account.pnl(marks)
    equity = account.cash + pnl
    return AccountSnapshot(
        balance=account.cash,
        equity=shown(max(equity, ZERO)),
        margin_used=shown(account.margin),
        available_margin=shown(equity - account.isolated_pnl(marks) - account.margin),
        positions=tuple([_position(position) for position in account.open_positions()]),
    )


def _position(position: Position) -> SnapshotPosition:
    return SnapshotPosition(
        id=position.id,
        symbol=position.symbol,
        side=position.side,
        entry_price=shown(position.entry_price),
        quantity=abs(position.quantity),
        margin=shown(position.margin),
        leverage=int(position.leverage),
    )


def risk_snapshot(account: Account, marks: Marks, brackets: Brackets, now_ms: int) -> RiskSnapshot:
    """Value of the risk cache."""
    standing = evaluate(account, marks, brackets)
    alone = [evaluate(account, marks, brackets, held) for held in account.open_positions() if held.isolated is not None]
    largest = standing.account_liquidation_price()
    pnl = sum([one.pnl for one in alone], standing.pnl)
    equity = account.cash + pnl
    return RiskSnapshot(
        sub_account_id=account.id,
        timestamp_ms=now_ms,
        status=account.status,
        liquidation_mode=account.liquidation_mode,
        maintenance_mode=account.maintenance_mode,
        margin_mode=account.margin_mode,
        balance=account.cash,
        equity=shown(max(equity, ZERO)),
        margin_used=shown(account.margin),
        available_margin=shown(account.cash + standing.pnl - account.margin),
        unrealized_pnl=shown(pnl),
        margin_ratio=shown(standing.ratio),
        maintenance_margin=shown(standing.maintenance),
        total_exposure=shown(account.notional),
        account_liq_price=shown(largest) if largest is not None else None,
        positions=tuple([row for one in (standing, *alone) for row in _risk_positions(account, one, brackets)]),
        open_orders=tuple([_order(order) for order in _newest(account.orders)]),
    )


def _risk_positions(account: Account, standing: Standing, brackets: Brackets) -> list[RiskPosition]:
    rows = zip(standing.positions, standing.marks, standing.legs, standing.liquidation_prices(), strict=True)
    return [
        _risk_position(
            *row, isolated=static_price(account, row[0], brackets, row[0].margin), ratio=shown(standing.ratio)
        )
        for row in rows
    ]


def _risk_position(
    position: Position, mark: Decimal | None, leg: Leg, liquidation: Decimal, *, isolated: Decimal, ratio: Decimal
) -> RiskPosition:
    margin = position.margin
    return RiskPosition(
        id=position.id,
        symbol=position.symbol,
        side=position.side,
        entry_price=shown(position.entry_price),
        quantity=abs(position.quantity),
        margin=shown(margin),
        leverage=int(position.leverage),
        notional=shown(position.notional),
        mark_price=mark,
        liquidation_price=shown(liquidation),
        isolated_liquidation_price=shown(isolated),
        maintenance_margin=shown(leg.maintenance),
        unrealized_pnl=shown(leg.pnl) if mark is not None else None,
        pnl_percent=shown(_HUNDRED * leg.pnl / margin) if mark is not None and margin else None,
        margin_mode="cross" if position.isolated is None else "isolated",
        margin_ratio=None if position.isolated is None else ratio,
        opened_at_ms=position.opened_ms,
    )


def _newest(orders: dict[str, LiveOrder]) -> list[LiveOrder]:
    """The newest orders, oldest first: a cold start's worth. All of them are in the gateway's lists."""
    return list(islice(reversed(orders.values()), MAX_SHOWN_ORDERS))[::-1]


def _order(order: LiveOrder) -> RiskOrder:
    view = order.view
    return RiskOrder(
        id=order.client_order_id,
        order_id=order.client_order_id,
        client_order_id=order.client_order_id,
        exchange_order_id=str(view.exchange_order_id) if view is not None and view.exchange_order_id else None,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        filled_qty=order.executed,
        state=view.state if view is not None else "placing",
        reduce_only=order.reduce_only,
        leverage=int(order.leverage),
        origin=order.origin,
        parent_id=order.parent_id,
        created_at_ms=order.approved_ms,
    )


def liquidation_price(account: Account, position: Position, brackets: Brackets) -> Decimal:
    """The static liquidation price of one position, as position events show it."""
    return shown(static_price(account, position, brackets, cash_behind(account, position)))
