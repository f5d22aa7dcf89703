"""One symbol at the venue: its book, prices and id counters. Data only."""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from pms_simulator.domain.book import Book
from pms_simulator.domain.brackets import Bracket
from pms_simulator.domain.symbols import SymbolSpec

# Order ids grow per symbol, so two symbols use the same ids, as at the venue.
FIRST_ORDER_ID = 8_389_765_500_000_000_001  # 19 digits, as ETHUSDT has them there; no float holds such a number
FIRST_TRADE_ID = 500_000_001


@dataclass(frozen=True, slots=True)
class Funding:
    """One settled funding: the rate as a fraction, the mark in units."""

    rate: Decimal
    mark: int
    time_ms: int


@dataclass(slots=True, eq=False)
class Market:
    """A listed symbol. ``mark`` and ``last`` are prices in units, 0 before the first quote."""

    spec: SymbolSpec
    brackets: tuple[Bracket, ...]
    book: Book = field(default_factory=Book)
    mark: int = 0
    last: int = 0
    order_id: int = FIRST_ORDER_ID
    trade_id: int = FIRST_TRADE_ID
    funding_rate: Decimal = Decimal("0.0001")
    fundings: deque[Funding] = field(default_factory=lambda: deque(maxlen=1_000))

    def next_order_id(self) -> int:
        """A fresh order id."""
        self.order_id += 1
        return self.order_id

    def next_trade_id(self) -> int:
        """A fresh trade id; both sides of a trade share it."""
        self.trade_id += 1
        return self.trade_id

    def update_mark(self) -> bool:
        """Set the mark to the middle of the book; False where it stays (a side is empty or nothing moved)."""
        bid, ask = self.book.bids.best(), self.book.asks.best()
        if bid is None or ask is None:
            return False
        mark = (bid.price + ask.price) // 2
        if mark == self.mark:
            return False
        self.mark = mark
        return True


@dataclass(frozen=True, slots=True)
class TapePrint:
    """One public trade. ``seller_aggressed``: the buyer was the maker."""

    market: Market
    price: int
    quantity: int
    seller_aggressed: bool
    trade_id: int
    time_ms: int
