"""What the stream of ticks still holds when its reader begins: how far prices went while nobody looked.

Owns the order of these ticks by symbol. Used once, before the first new price.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from functools import cache

from pms_algos.app.markets import usable
from pms_common.contracts.bus.common import Tick
from pms_common.decimals import from_float


class Tape:
    """The live ticks of each symbol."""

    def __init__(self, ticks: Iterable[Tick]) -> None:
        self._ticks: defaultdict[str, list[Tick]] = defaultdict(list)
        for tick in ticks:
            if usable(tick):
                self._ticks[tick.symbol].append(tick)
        self._courses = cache(self._course)

    def since(self, symbol: str, seen_us: int) -> tuple[Decimal, Decimal] | None:
        """The lowest and the highest middle price of those that the feed sent later; None where there is none."""
        sent_us, lowest, highest = self._courses(symbol)
        at = bisect_right(sent_us, seen_us)
        return None if at == len(sent_us) else (_middle(lowest[at]), _middle(highest[at]))

    def _course(self, symbol: str) -> tuple[list[int], list[Tick], list[Tick]]:
        """When each tick was sent, and the extremes from it on."""
        ticks = sorted(self._ticks[symbol], key=lambda tick: tick.sent_us)
        lowest, highest = ticks.copy(), ticks.copy()
        for at in range(len(ticks) - 2, -1, -1):
            lowest[at] = min(ticks[at], lowest[at + 1], key=_mid)
            highest[at] = max(ticks[at], highest[at + 1], key=_mid)
        return [tick.sent_us for tick in ticks], lowest, highest


def _mid(tick: Tick) -> float:
    return tick.mid


def _middle(tick: Tick) -> Decimal:
    return (from_float(tick.bid) + from_float(tick.ask)) / 2
