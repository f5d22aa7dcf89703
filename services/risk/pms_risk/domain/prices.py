"""The marks risk works with: the mid of L1, and whether it may be trusted for new risk.

Owns the newest tick per symbol. A price counts as fresh while its stream was confirmed alive within the limit. Never
invents a price. Used by the validator, the snapshot and the handlers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.common import Tick
from pms_common.decimals import from_float

MAX_AGE_MS = 3_000
"""Default limit of the design for the age of a price that new risk may use."""
MAX_AHEAD_MS = 1_000
"""How far clocks of two machines may differ. What is further ahead was told before the clock was set back, and would
not grow old until it is there again."""


@dataclass(frozen=True, slots=True)
class Quote:
    """L1 in decimals."""

    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        """The mark."""
        return (self.bid + self.ask) / 2


class Prices:
    """Newest tick per symbol; decimals are made on first use, because most ticks are never asked for."""

    def __init__(self) -> None:
        self._ticks: dict[str, Tick] = {}
        self._quotes: dict[str, Quote] = {}
        self._marks: dict[str, Decimal] = {}

    def put(self, tick: Tick) -> None:
        """Take a newer tick."""
        self._ticks[tick.symbol] = tick
        self._quotes.pop(tick.symbol, None)
        self._marks.pop(tick.symbol, None)

    def quote(self, symbol: str) -> Quote | None:
        """Best bid and ask of any age."""
        quote = self._quotes.get(symbol)
        if quote is None and (tick := self._ticks.get(symbol)) is not None:
            quote = self._quotes[symbol] = Quote(from_float(tick.bid), from_float(tick.ask))
        return quote

    def mark(self, symbol: str) -> Decimal | None:
        """The mid of any age, for display."""
        mark = self._marks.get(symbol)
        if mark is None and (quote := self.quote(symbol)) is not None:
            mark = self._marks[symbol] = quote.mid
        return mark

    def venue_mark(self, symbol: str) -> Decimal | None:
        """The exchange's mark price of the newest tick; None where the feed does not tell it, or it is old."""
        tick = self._ticks.get(symbol)
        return from_float(tick.mark) if tick is not None and tick.mark else None

    def fresh(self, symbol: str, now_ms: int) -> bool:
        """Whether new risk may rely on the price."""
        tick = self._ticks.get(symbol)
        return tick is not None and tick.state == "live" and -MAX_AHEAD_MS <= now_ms - tick.ts_ms <= MAX_AGE_MS

    def seen_ms(self, symbol: str) -> int:
        """When its stream was last known to be alive; 0 before the first tick."""
        tick = self._ticks.get(symbol)
        return tick.ts_ms if tick is not None else 0

    def fresh_mark(self, symbol: str, now_ms: int) -> Decimal | None:
        """The mid, None where it may not be relied on."""
        return self.mark(symbol) if self.fresh(symbol, now_ms) else None

    def fresh_marks(self, now_ms: int) -> Callable[[str], Decimal | None]:
        """`fresh_mark` at one instant, for who asks for many: a check looks at every position of its account."""
        ticks, marks, since_ms, until_ms = self._ticks, self._marks, now_ms - MAX_AGE_MS, now_ms + MAX_AHEAD_MS

        def fresh_mark(symbol: str) -> Decimal | None:
            tick = ticks.get(symbol)
            if tick is None or not since_ms <= tick.ts_ms <= until_ms or tick.state != "live":
                return None
            mark = marks.get(symbol)
            return mark if mark is not None else self.mark(symbol)

        return fresh_mark
