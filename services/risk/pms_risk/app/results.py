"""What the answer of a request says once its orders have come to what was waited for.

Owns the results of `trade limit limit_close close close_all scale basket` where risk gives them. Raises what the
request failed with. Used by `waits`.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from pms_common.contracts.base import Wire
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import (
    CloseAllDone,
    CloseAllItem,
    CloseDone,
    ClosedPosition,
    CloseTrade,
    OrderDone,
    OrderResult,
)
from pms_common.decimals import ZERO
from pms_risk.app.state import RiskState
from pms_risk.app.wait import Item, Outcome, Wait
from pms_risk.domain.snapshot import shown

_CANCELLED = ("cancelled", "expired")


def success(state: RiskState, wait: Wait) -> Wire:
    """The answer. Raises CommandError where the request failed."""
    if wait.command == "close_all":
        return _close_all_done(state, wait)
    outcomes = list(wait.orders.values())
    _refuse_what_never_traded(wait, outcomes)
    if wait.command == "close":
        return _close_done(state, wait, outcomes)
    orders = tuple([_order_result(outcome, wait.until) for outcome in outcomes])
    return OrderDone(
        **msgspec.structs.asdict(orders[-1]),
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        flipped=wait.flipped or None,
        orders=orders if wait.flipped or len(orders) > 1 else None,
    )


# -- close, close_all


def _close_done(state: RiskState, wait: Wait, outcomes: list[Outcome]) -> CloseDone:
    (item,) = wait.items.values()
    account = state.account(wait.account_id)
    position = account.position(item.position_id)
    orders = tuple([_order_result(outcome, wait.until) for outcome in outcomes])
    last = orders[-1].client_order_id if orders else None
    trade = _close_trade(item, outcomes) if wait.until == "final" else None
    return CloseDone(
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        client_order_id=last,
        order_id=last,
        position=ClosedPosition(
            id=item.position_id,
            symbol=item.symbol,
            side=item.side,
            status="CLOSED" if position is None else "OPEN",
            remaining_qty=abs(position.quantity) if position is not None else ZERO,
        ),
        trade=trade,
        new_balance=account.cash if trade is not None else None,
        orders=orders if len(orders) > 1 else None,
    )


def _close_trade(item: Item, outcomes: Sequence[Outcome]) -> CloseTrade:
    """Everything that was closed, by orders and by the house."""
    quantity, value = item.taken_quantity, item.taken_value
    for outcome in outcomes:
        if outcome.view is not None and outcome.view.average_price:
            quantity += outcome.view.executed_quantity
            value += outcome.view.executed_quantity * outcome.view.average_price
    return CloseTrade(
        price=shown(value / quantity),
        quantity=quantity,
        realized_pnl=_profit(item, outcomes),
        fee=sum((outcome.commission for outcome in outcomes), ZERO),
    )


def _profit(item: Item, outcomes: Sequence[Outcome]) -> Decimal:
    return sum((outcome.profit for outcome in outcomes), item.taken_profit)


def _close_all_done(state: RiskState, wait: Wait) -> CloseAllDone:
    account = state.account(wait.account_id)
    results = []
    for key, item in wait.items.items():
        if not item.position_id:
            continue  # nothing was held there, and nothing came to be
        outcomes = [outcome for outcome in wait.orders.values() if outcome.item == key]
        if account.position(item.position_id) is None:
            pnl = _profit(item, outcomes)
            results.append(CloseAllItem(position_id=item.position_id, symbol=item.symbol, success=True, pnl=pnl))
        else:
            results.append(_still_open(item, outcomes))
    cancelled = [o for o in wait.orders.values() if o.cancels and o.view is not None and o.view.state in _CANCELLED]
    return CloseAllDone(
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        closed=sum(result.success for result in results),
        total=len(results),
        cancelled=len(cancelled),
        results=tuple(results),
    )


def _still_open(item: Item, outcomes: Sequence[Outcome]) -> CloseAllItem:
    errors = [(outcome.error_code, outcome.error) for outcome in outcomes if outcome.error_code and not outcome.cancels]
    code, text = errors[-1] if errors else (item.error_code, item.error)
    return CloseAllItem(
        position_id=item.position_id,
        symbol=item.symbol,
        success=False,
        error=text or "The close is not complete yet",
        error_code=code or ErrorCode.AMBIGUOUS_RESULT.name,
    )


# -- what failed


def _refuse_what_never_traded(wait: Wait, outcomes: list[Outcome]) -> None:
    """Raise where nothing was executed and the exchange refused, or a close found nothing to trade with."""
    if any(outcome.view is not None and outcome.view.executed_quantity for outcome in outcomes):
        return
    for outcome in outcomes:
        _refuse_failed(wait, outcome)
    for item in wait.items.values():
        if item.error_code:
            raise CommandError(ErrorCode[item.error_code], item.error)
        if not outcomes and not item.taken_quantity:
            raise CommandError(ErrorCode.POSITION_CLOSED, "Other orders have closed the position meanwhile")


def _refuse_failed(wait: Wait, outcome: Outcome) -> None:
    view = outcome.view
    if view is None:
        return
    details: dict[str, Any] = {"clientOrderId": view.client_order_id, "state": view.state}
    if view.state in ("rejected", "failed"):
        code = ErrorCode[outcome.error_code] if outcome.error_code else ErrorCode.EXCHANGE_REJECTED
        raise CommandError(code, outcome.error, details=details)
    if wait.command == "close" and outcome.final:
        message = f"The close ended {view.state} without an execution; the position is as it was"
        raise CommandError(ErrorCode.EXCHANGE_REJECTED, message, details=details)


def _order_result(outcome: Outcome, until: str) -> OrderResult:
    view = outcome.view
    assert view is not None
    ended = until == "final"
    return OrderResult(
        client_order_id=view.client_order_id,
        order_id=view.client_order_id,
        exchange_order_id=str(view.exchange_order_id) if view.exchange_order_id else None,
        state=view.state,
        symbol=view.symbol,
        side=view.side,
        quantity=view.quantity,
        price=view.price if view.price is not None else view.average_price,
        filled_qty=view.executed_quantity if ended else None,
        avg_fill_price=view.average_price if ended else None,
        fee=outcome.commission if ended else None,
        realized_pnl=outcome.profit if ended else None,
    )
