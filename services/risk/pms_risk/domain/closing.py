"""What a close may send now, and which closers of its account give way to it.

Owns the arithmetic of invariant 4: live, unknown and requested closers never exceed the position. A close takes what it
needs from the orders that rest on its side, the newest first, and sends at once only what none of them may still fill;
the rest follows as they end. Pure. Used by `app.closings`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from pms_common.contracts.bus.base import Origin, PositionSide, Side
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import ZERO, floor_to
from pms_risk.domain.holding import Holding
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.position import Position

MAX_PARTS = 50
"""Orders of one close that leave at once; more follow as these end."""


@dataclass(slots=True, kw_only=True)
class Closing:
    """A wish to close, until it is carried out.

    `position_id` is the position it closes; empty: whatever the account holds on (symbol, leg), and what the orders
    `awaited` there come to open. `unsent` is what it still has to send (None: all there is), `leave` what is to remain.
    `price` makes it a resting order; `takes` sends none, and lets the house take the position over. Its orders are
    named by `seed` and their number; `orders` are those it waits for. `wait` is the request that is told of them,
    `item` their heading there. `child` is the name of the one order that an algo (`parent_id`) asked for: it is sent
    with what is free by then, and its algo asks for the rest. `take_*` are set once the house takes over what cannot be
    sent, `error` once nothing more is sent.
    """

    key: str
    account_id: str
    symbol: str
    leg: PositionSide
    position_id: str
    seed: str
    request_id: str = ""
    command: str = ""
    wait: str = ""
    item: str = ""
    origin: Origin = "MANUAL"
    child: str = ""
    parent_id: str | None = None
    takes: bool = False
    price: Decimal | None = None
    unsent: Decimal | None
    leave: Decimal = ZERO
    expires_at_ms: int | None = None
    asked_ms: int = 0
    traceparent: str = ""
    orders: list[str] = field(default_factory=list)
    sent: int = 0
    attempts: int = 0
    awaited: list[str] = field(default_factory=list)
    take_price: Decimal | None = None
    take_ms: int = 0
    take_position: str = ""
    take_quantity: Decimal = ZERO
    take_profit: Decimal = ZERO
    error_code: str = ""
    error: str = ""

    def target(self, holding: Holding) -> Position | None:
        """The position it closes, None where that is gone."""
        position = holding.position
        return position if position is not None and self.position_id in ("", position.id) else None

    def spend(self, quantity: Decimal) -> None:
        """So much has been sent; negative: it has proven not to have been."""
        if self.unsent is not None:
            self.unsent -= quantity

    def stop(self, code: str, text: str) -> None:
        """Nothing more is sent."""
        self.unsent = ZERO
        self.error_code, self.error = code, text


@dataclass(frozen=True, slots=True)
class Due:
    """What a close may send: `now`, and `wanted` once nobody else may fill it."""

    side: Side
    now: Decimal
    wanted: Decimal


@dataclass(frozen=True, slots=True)
class Trim:
    """A closer that gives way: it may still execute `keep`, nothing: it is cancelled."""

    order: LiveOrder
    keep: Decimal


def closing_side(position: Position) -> Side:
    """The side of the orders that close a position."""
    return "SELL" if position.quantity > 0 else "BUY"


def leave_of(holding: Holding, quantity: Decimal, promised: Decimal) -> Decimal:
    """What is to remain of a position of which `quantity` is closed, `promised` to other closes before it."""
    return max(ZERO, abs(holding.quantity) - promised - quantity)


def due(closing: Closing, holding: Holding, position: Position) -> Due:
    """How much the close may send now, and how much it would."""
    side = closing_side(position)
    own = sum((order.remaining for order in holding.side(side) if order.client_order_id in closing.orders), ZERO)
    wanted = holding.closable(side) - closing.leave - own
    if closing.unsent is not None:
        wanted = min(wanted, closing.unsent)
    wanted = max(ZERO, wanted)
    return Due(side, max(ZERO, min(wanted, holding.unreserved(side))), wanted)


def trims(orders: Iterable[LiveOrder], allowed: Decimal, spec: SymbolSpec | None) -> list[Trim]:
    """Who gives way so that these orders claim no more than `allowed`: the newest first, and no more than necessary.

    An order that can be made smaller keeps what is allowed, where the exchange is known to take so little; else it is
    cancelled.
    """
    resting = sorted((order for order in orders if order.order_type == "LIMIT"), key=lambda order: -order.approved_ms)
    excess = sum((order.remaining for order in resting), ZERO) - allowed
    given: list[Trim] = []
    for order in resting:
        if excess <= 0:
            break
        keep = max(ZERO, order.remaining - excess)
        if not keep or spec is None or not _can_shrink(order, keep, spec):
            keep = ZERO
        given.append(Trim(order, keep))
        excess -= order.remaining - keep
    return given


def _can_shrink(order: LiveOrder, keep: Decimal, spec: SymbolSpec) -> bool:
    """Children belong to their algo, which would not know its order any more."""
    rests = order.parent_id is None and order.view is not None and order.view.state == "active"
    return rests and sendable(keep, order.price, spec)


def cut(quantity: Decimal, spec: SymbolSpec, market: bool) -> list[Decimal]:
    """The orders that a quantity is sent as: on the step, none above the exchange's maximum."""
    step = max(spec.step_size, spec.market_step_size) if market else spec.step_size
    most = floor_to(spec.market_max_quantity if market else spec.max_quantity, step)
    left = floor_to(quantity, step)
    parts: list[Decimal] = []
    while left > 0 and len(parts) < MAX_PARTS:
        parts.append(min(left, most) if most else left)
        left -= parts[-1]
    return parts


def sendable(quantity: Decimal, price: Decimal | None, spec: SymbolSpec, *, market: bool = False) -> bool:
    """Whether the exchange takes so little; without a price its minimum notional cannot be known, and is not asked."""
    least = spec.market_min_quantity if market else spec.min_quantity
    return quantity >= least and (price is None or quantity * price >= spec.min_notional)
