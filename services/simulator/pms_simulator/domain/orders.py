"""An order and its executions as the venue keeps them.

Owns the record. Never moves money and never matches: that is ``account`` and ``matching``.
"""

from dataclasses import dataclass
from typing import Literal

from pms_simulator.domain.symbols import SymbolSpec

BUY, SELL = 1, -1
SIDE_NAME = {BUY: "BUY", SELL: "SELL"}

OrderType = Literal["LIMIT", "MARKET", "LIQUIDATION"]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX", "GTD"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
Stp = Literal["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"]
Status = Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"]

Forced = Literal["", "LIQUIDATION", "ADL", "SETTLEMENT"]

OPEN: frozenset[Status] = frozenset({"NEW", "PARTIALLY_FILLED"})


class Order:
    """One order. Quantities and prices in the units of ``spec``; times in epoch milliseconds."""

    __slots__ = (
        "account",
        "amendments",
        "client_id",
        "closing",
        "ended_by",
        "executed",
        "expiry_reason",
        "forced",
        "good_till_ms",
        "listed",
        "modify_id",
        "order_id",
        "order_type",
        "position_side",
        "price",
        "price_match",
        "quantity",
        "quote",
        "reduce_only",
        "remaining",
        "seq",
        "side",
        "spec",
        "status",
        "stp",
        "tif",
        "time_ms",
        "update_ms",
    )

    def __init__(
        self,
        account: str,
        spec: SymbolSpec,
        *,
        side: int,
        order_type: OrderType,
        quantity: int,
        price: int = 0,
        tif: TimeInForce = "GTC",
        client_id: str = "",
        order_id: int = 0,
        position_side: PositionSide = "BOTH",
        reduce_only: bool = False,
        stp: Stp = "EXPIRE_MAKER",
        price_match: str = "NONE",
        good_till_ms: int = 0,
        time_ms: int = 0,
    ) -> None:
        self.account = account
        self.spec = spec
        self.side = side
        self.order_type: OrderType = order_type
        self.quantity = quantity
        self.price = price
        self.tif: TimeInForce = tif
        self.client_id = client_id
        self.order_id = order_id
        self.position_side: PositionSide = position_side
        self.reduce_only = reduce_only
        self.closing = (
            reduce_only or (position_side == "LONG" and side == SELL) or (position_side == "SHORT" and side == BUY)
        )
        self.stp: Stp = stp
        self.price_match = price_match
        self.good_till_ms = good_till_ms
        self.time_ms = time_ms
        self.update_ms = time_ms
        self.status: Status = "NEW"
        self.executed = 0
        self.remaining = quantity
        self.quote = 0
        self.amendments = 0
        self.modify_id: int | None = None
        self.expiry_reason = "0"
        self.forced: Forced = ""
        self.ended_by = ""
        self.listed: tuple[object, bytes] | None = None
        """As the list of open orders told it last: of thousands, few have changed since."""
        self.seq = 0

    @property
    def is_open(self) -> bool:
        """Resting, or not yet through its first match."""
        return self.status in OPEN

    def fill(self, price: int, quantity: int, now_ms: int) -> None:
        """Book an execution on the record."""
        self.executed += quantity
        self.remaining -= quantity
        self.quote += price * quantity
        self.status = "PARTIALLY_FILLED" if self.remaining else "FILLED"
        self.update_ms = now_ms

    def end(self, status: Status, now_ms: int, reason: str = "0") -> None:
        """Close what remains; ``reason`` is the venue's expiry reason code."""
        self.status = status
        self.expiry_reason = reason
        self.update_ms = now_ms

    def resize(self, quantity: int) -> None:
        """Change the total quantity (an amendment, or a venue-side shrink)."""
        self.quantity = quantity
        self.remaining = quantity - self.executed


@dataclass(frozen=True, slots=True)
class Trade:
    """One side's view of an execution, as userTrades and the user stream show it."""

    account: str
    spec: SymbolSpec
    trade_id: int
    order_id: int
    side: int
    position_side: PositionSide
    price: int
    quantity: int
    commission: str
    commission_asset: str
    realized: str
    maker: bool
    time_ms: int
