"""Settled funding rates: asked for regularly and told, because the account's own payments do not show them.

Where the positions of the virtual accounts net to zero, the exchange pays nothing and each of them still pays or gets
its own. Owns what was told. Never knows who holds what: that is risk's. Spawn `run`.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence

from pms_common.bus import UpdatesWriter
from pms_common.contracts.bus.exchange import FundingRate, FundingRates
from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_orders.adapters.binance.exchange_client import VenueRefused, VenueUnreachable
from pms_orders.adapters.binance.queries import Queries

log = get_logger(__name__)

PERIOD_S = 10.0
"""Between two questions: 30 of the 500 that the venue answers in 5 minutes."""
LATE_MS = 15 * 60_000
"""How long after its instant a settlement may come into the venue's list; an allowance, the venue names none."""
DAY_MS = 86_400_000
CHUNK = 20
"""Rates in one entry."""
MAX_TOLD = 50_000
MAX_SAID = 1_000

_unmarked = counter("fundings_unmarked", "Settled fundings whose mark price the exchange did not tell")


class Fundings:
    """Asks for rates and tells them once, and again to who has lost them."""

    def __init__(
        self,
        queries: Queries,
        updates: UpdatesWriter,
        venue_ms: Callable[[], int],
        known_ms: Callable[[], int | None],
    ) -> None:
        """`known_ms` tells until when the last writer knew everything; None where nobody ever knew."""
        self._queries = queries
        self._updates = updates
        self._venue_ms = venue_ms
        self._told: OrderedDict[tuple[str, int], FundingRate] = OrderedDict()
        self._known_ms = known_ms
        self._since_ms = 0
        self._said: deque[tuple[str, int]] = deque(maxlen=MAX_SAID)

    async def run(self) -> None:
        """Ask until cancelled."""
        now_ms = self._venue_ms()
        known_ms = self._known_ms()
        self._since_ms = min(now_ms if known_ms is None else known_ms, now_ms) - DAY_MS
        while True:
            since_ms = self._since_ms
            try:
                newest_ms = await self._ask(since_ms)
                if self._since_ms == since_ms:  # else older ones were asked for meanwhile
                    self._since_ms = newest_ms
            except (VenueRefused, VenueUnreachable) as error:
                log.warning("funding_rates_unknown", error=str(error))
            await asyncio.sleep(PERIOD_S)

    async def _ask(self, since_ms: int) -> int:
        """Tell what is new; from when on is to be asked the next time."""
        rates, unmarked = await self._queries.funding_rates(since_ms)
        self._say(unmarked)
        new = [rate for rate in rates if (rate.symbol, rate.time_ms) not in self._told]
        self._tell(new)
        for rate in new:
            self._told[rate.symbol, rate.time_ms] = rate
        while len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        newest_ms = max((rate.time_ms for rate in rates), default=since_ms)
        return max(since_ms, newest_ms - LATE_MS)

    def _say(self, unmarked: Sequence[tuple[str, int]]) -> None:
        """It is asked for again for a while; who held there pays or gets nothing until it has its mark."""
        for symbol, time_ms in unmarked:
            if (symbol, time_ms) not in self._said:
                self._said.append((symbol, time_ms))
                _unmarked.inc()
                log.error("funding_without_mark", symbol=symbol, time_ms=time_ms)

    def tell_again(self, since_ms: int) -> None:
        """Publish those since then once more, and those of the last day, each as it was; ask for what is not known."""
        since_ms = min(since_ms, self._venue_ms() - DAY_MS)
        self._since_ms = min(since_ms, self._since_ms)
        self._tell([rate for rate in self._told.values() if rate.time_ms > since_ms])

    def _tell(self, rates: Iterable[FundingRate]) -> None:
        ordered = sorted(rates, key=lambda rate: (rate.time_ms, rate.symbol))
        for start in range(0, len(ordered), CHUNK):
            self._updates.publish(FundingRates(epoch=0, n=0, rates=tuple(ordered[start : start + CHUNK])))
