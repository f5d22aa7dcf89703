"""What silent streams cannot tell: the venue's REST quotes and whether a symbol trades at all.

Owns when REST is asked and what its answers mean for a market. Used by `app.pulse` on every beat.
"""

import asyncio
from collections.abc import Collection
from typing import Protocol

from pms_common import metrics
from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.market import Market
from pms_feed.app.wire import RestError, RestQuote

log = get_logger(__name__)

EVERY_MS = 2_000
"""At most 5 weight each: 150 a minute."""
STATUS_EVERY_MS = 60_000
HALTED_EVERY_MS = 10_000
"""The list of symbols weighs 1 but is about 1 MB: asked for now and then, sooner while a symbol is halted."""

_probes = metrics.counter("feed_probes", "REST quotes compared with ours", ["outcome"])


class Venue(Protocol):
    """The REST routes a probe needs. All raise `RestError`."""

    async def quotes(self, symbols: list[str]) -> list[RestQuote]: ...
    async def trading(self) -> set[str]: ...


class Probe:
    """Compares silent markets with the venue, one comparison at a time."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._task: asyncio.Task[None] | None = None
        self._asked_ms = self._status_ms = 0

    def turn(self, markets: Collection[Market], now: int) -> None:
        """Start a comparison if one is due."""
        if now - self._asked_ms < EVERY_MS or (self._task is not None and not self._task.done()):
            return
        silent = [market for market in markets if market.halted or market.wants_probe(now)]
        if silent:
            self._asked_ms = now
            self._task = asyncio.create_task(self._ask(silent, now))

    async def _ask(self, silent: list[Market], asked_ms: int) -> None:
        try:
            await self._look_up_halts(silent, asked_ms)
            await self._compare([market for market in silent if not market.halted], asked_ms)
        except RestError as error:
            _probes.labels("failed").inc()
            log.warning("probe_failed", error=str(error))

    async def _look_up_halts(self, silent: list[Market], asked_ms: int) -> None:
        every_ms = HALTED_EVERY_MS if any(market.halted for market in silent) else STATUS_EVERY_MS
        if asked_ms - self._status_ms < every_ms:
            return
        self._status_ms = asked_ms
        trading = await self._venue.trading()
        for market in silent:
            market.halted = market.symbol not in trading

    async def _compare(self, silent: list[Market], asked_ms: int) -> None:
        if not silent:
            return
        quotes = {quote.symbol: quote for quote in await self._venue.quotes([market.symbol for market in silent])}
        for market in silent:
            quote = quotes.get(market.symbol)
            if quote is not None and market.frame_ms < asked_ms:  # a frame since then says more
                equal = market.on_rest_quote(quote, asked_ms, now_ms() * 1000)
                _probes.labels("equal" if equal else "different").inc()

    async def close(self) -> None:
        """End what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
