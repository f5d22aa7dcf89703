"""A live order as risk sees it: what of it may still be executed, and at which worst price.

Owns the reservation of one order. Used by `holding` (which adds reservations up) and the books.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.base import Origin, PositionSide, Side
from pms_common.contracts.bus.orders import OrderType, OrderView


@dataclass(slots=True)
class LiveOrder:
    """An approved order that is not final.

    `bound` is the worst price for margin: the limit price, the market bound, or the highest price an algo declared.
    `view` is the order service's last word, in its `epoch`; None while the order service has not spoken.
    `placed` tells whether the world has been told that the exchange has it. `wished_*` is what an amendment asks for
    that has no outcome yet (0: none does): the larger is reserved until then.
    """

    client_order_id: str
    account_id: str
    symbol: str
    leg: PositionSide
    side: Side
    order_type: OrderType
    reduce_only: bool
    quantity: Decimal
    price: Decimal | None
    bound: Decimal
    leverage: Decimal
    origin: Origin
    parent_id: str | None
    approved_ms: int
    executed: Decimal = Decimal(0)
    view: OrderView | None = None
    epoch: int = 0
    placed: bool = False
    wished_quantity: Decimal = Decimal(0)
    wished_price: Decimal = Decimal(0)
    wished_bound: Decimal = Decimal(0)

    @property
    def closes_now(self) -> bool:
        """Whether it closes at market: it cannot rest, and nobody needs to stop it."""
        return self.reduce_only and self.order_type == "MARKET"

    @property
    def remaining(self) -> Decimal:
        """Quantity that may still be executed."""
        return self.quantity - self.executed
