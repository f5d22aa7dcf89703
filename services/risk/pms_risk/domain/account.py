"""A virtual account: cash, positions, live orders, limits, and what they add up to.

Owns the account's totals, kept by difference so that a check costs the same with one position or hundreds. Never talks
to a clock or a database. Changed only through its methods, by `books` and the application.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from pms_common.contracts.base import LiquidationMode, MaintenanceMode, MarginMode
from pms_common.contracts.bus.base import PositionSide
from pms_common.decimals import ZERO
from pms_risk.domain.activity import Activity
from pms_risk.domain.holding import Holding
from pms_risk.domain.ledger import Entry, post
from pms_risk.domain.maintenance import DEFAULT_RATE
from pms_risk.domain.math import unrealized_pnl
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules

Status = Literal["ACTIVE", "FROZEN", "LIQUIDATED", "CLOSED"]
"""CLOSED: it is no more, and kept for its history only."""
Key = tuple[str, PositionSide]
SETTLEMENT_ASSET = "USDT"
Marks = Callable[[str], Decimal | None]
"""Symbol → its mark, None where there is none."""


class Account:
    """One virtual account. `version` rises with every change a reader can see."""

    __slots__ = (
        *(
            "activity",
            "cash",
            "created_by",
            "created_ms",
            "holdings",
            "id",
            "liquidation_mode",
            "maintenance_mode",
            "maintenance_rate",
            "margin_mode",
            "name",
            "orders",
            "rules",
        ),
        *(
            "isolated",
            "isolated_notional",
            "margin",
            "notional",
            "positions",
            "reserved_margin",
            "reserved_notional",
            "status",
            "version",
        ),
    )

    def __init__(self, account_id: str, name: str, created_ms: int, created_by: str = "") -> None:
        self.id = account_id
        self.name = name
        self.created_ms = created_ms
        self.created_by = created_by
        """Request that created it, to know a repeat."""
        self.cash = ZERO
        self.activity = Activity()
        self.status: Status = "ACTIVE"
        self.rules = Rules()
        self.maintenance_mode: MaintenanceMode = "flat"
        self.maintenance_rate = DEFAULT_RATE
        self.liquidation_mode: LiquidationMode = "ADL_30"
        self.margin_mode: MarginMode = "cross"
        """Of the positions that open from now on."""
        self.holdings: dict[Key, Holding] = {}
        self.positions: dict[str, Holding] = {}
        """Position id → where it is held."""
        self.orders: dict[str, LiveOrder] = {}
        self.margin = self.notional = self.reserved_margin = self.reserved_notional = ZERO
        self.isolated = self.isolated_notional = ZERO
        """Margin assigned to isolated positions (a part of `margin`), and their notional (a part of `notional`)."""
        self.version = 0

    def holding(self, symbol: str, leg: PositionSide) -> Holding:
        """Position and orders on (symbol, leg), possibly none yet; to be looked at, not to be changed."""
        return self.holdings.get((symbol, leg)) or _nothing(symbol, leg)

    def position(self, position_id: str) -> Position | None:
        """The open position with this id."""
        holding = self.positions.get(position_id)
        return holding.position if holding is not None else None

    def open_positions(self) -> Iterator[Position]:
        """All open positions."""
        for holding in self.positions.values():
            if holding.position is not None:
                yield holding.position

    @property
    def cross_cash(self) -> Decimal:
        """Cash that stands behind the cross positions, and what new ones may use: all but what is assigned."""
        return self.cash - self.isolated

    def pnl(self, marks: Marks) -> tuple[Decimal, str | None]:
        """Unrealised profit over all positions, and the first symbol without a mark (whose profit is left out)."""
        total = ZERO
        missing = None
        for holding in self.positions.values():
            position = holding.position
            if position is None:
                continue
            mark = marks(position.symbol)
            if mark is None:
                missing = missing or position.symbol
            else:
                total += unrealized_pnl(position.quantity, position.cost, mark)
        return total, missing

    def isolated_pnl(self, marks: Marks, besides: Position | None = None) -> Decimal:
        """The part of it that is of isolated positions but one: nothing else can be paid with it, or pays for it."""
        if not self.isolated_notional:
            return ZERO
        held = [position for position in self.open_positions() if position.isolated is not None]
        marked = [(position, marks(position.symbol)) for position in held if position is not besides]
        return sum([unrealized_pnl(p.quantity, p.cost, mark) for p, mark in marked if mark is not None], ZERO)

    # -- changes

    def set_status(self, status: Status) -> None:
        """Let the account take new risk, or not."""
        self.status = status
        self.version += 1

    def set_rules(self, rules: Rules) -> None:
        """Set its limits; they hold for the next order."""
        self.rules = rules
        self.version += 1

    def set_mode(self, liquidation: LiquidationMode, maintenance: MaintenanceMode, rate: Decimal) -> None:
        """Set how it is liquidated and how its maintenance margin is reckoned."""
        self.liquidation_mode, self.maintenance_mode, self.maintenance_rate = liquidation, maintenance, rate
        self.version += 1

    def set_margin_mode(self, mode: MarginMode) -> None:
        """Set what stands behind positions that open from now on; those that are open keep theirs to their end."""
        self.margin_mode = mode
        self.version += 1

    def book_cash(self, amount: Decimal, *, key: str, cause: str, reference: str, at_ms: int) -> Entry:
        """Change the cash by `amount`; the entry to keep."""
        entry = post(self.cash, amount, key, self.id, SETTLEMENT_ASSET, cause, reference, at_ms)
        self.cash = entry.after
        self.activity.book(cause, amount, at_ms)
        self.version += 1
        return entry

    def put_position(self, position: Position) -> None:
        """Take a position into the account, as loaded or opened."""
        holding = self._opened(position.symbol, position.leg)
        holding.position = position
        self.positions[position.id] = holding
        self._refresh(holding)

    def put_order(self, order: LiveOrder) -> None:
        """Reserve for an order; the same id again replaces it."""
        holding = self._opened(order.symbol, order.leg)
        holding.side(order.side).put(order)
        self.orders[order.client_order_id] = order
        self._refresh(holding)

    def change_order(self, order: LiveOrder, *, quantity: Decimal, bound: Decimal, executed: Decimal) -> None:
        """Take over what an order may still do."""
        holding = self.holdings[order.symbol, order.leg]
        holding.side(order.side).change(order, quantity, bound, executed)
        self._refresh(holding)

    def drop_order(self, client_order_id: str) -> LiveOrder | None:
        """Release the reservation of an order that is final."""
        order = self.orders.pop(client_order_id, None)
        if order is not None:
            holding = self.holdings[order.symbol, order.leg]
            holding.side(order.side).drop(client_order_id)
            self._refresh(holding)
        return order

    def refresh(self, symbol: str, leg: PositionSide) -> None:
        """Bring the totals up to date after a position changed."""
        self._refresh(self.holdings[symbol, leg])

    def remove_position(self, holding: Holding) -> None:
        """Forget a position that has been closed."""
        if holding.position is not None:
            del self.positions[holding.position.id]
            holding.position = None

    def _opened(self, symbol: str, leg: PositionSide) -> Holding:
        holding = self.holdings.get((symbol, leg))
        if holding is None:
            holding = self.holdings[symbol, leg] = Holding(symbol, leg)
        return holding

    def _refresh(self, holding: Holding) -> None:
        margin, notional = holding.margin, holding.notional
        isolated, isolated_notional = holding.isolated, holding.isolated_notional
        reserved_margin, reserved_notional = holding.reserved_margin, holding.reserved_notional
        holding.refresh()
        self.margin += holding.margin - margin
        self.notional += holding.notional - notional
        self.reserved_margin += holding.reserved_margin - reserved_margin
        self.reserved_notional += holding.reserved_notional - reserved_notional
        self.isolated += holding.isolated - isolated
        self.isolated_notional += holding.isolated_notional - isolated_notional
        self.version += 1
        if holding.empty:
            del self.holdings[holding.symbol, holding.leg]
            if not self.holdings:  # quotients leave a last digit behind; nothing held is exactly nothing
                self.margin = self.notional = self.reserved_margin = self.reserved_notional = ZERO


@lru_cache(maxsize=4096)
def _nothing(symbol: str, leg: PositionSide) -> Holding:
    """What is held where nothing is: every check of an order asks for it."""
    return Holding(symbol, leg)
