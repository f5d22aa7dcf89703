"""What the feed tells: ticks at once, cached prices at leisure.

Owns when a tick is made (when it is written, once for all frames since the last write) and how often a price is
cached. Never decides whether a price is good: the market's state does. Used by `app.market` (through `publish`) and
`app.pulse`.
"""

import asyncio
import time

import msgspec

from pms_common import metrics
from pms_common.bus import Bus
from pms_common.clock import monotonic_ms
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick
from pms_common.names import Names
from pms_feed.app.market import Market
from pms_feed.domain.shares import Shares

PRICE_EVERY_S = 0.1
PRICE_LIFE_S = 30
PRICE_REFRESH_MS = 2_000
"""A price that does not change is written anew: `ts` tells a reader that it still holds, and Redis may have lost it."""

_ticks = metrics.counter("feed_ticks", "Ticks handed to the bus")
_lag = metrics.histogram("feed_lag_seconds", "From the venue's time of a quote to its publication, one a write")
_work = metrics.histogram("feed_publish_seconds", "From a frame's arrival to its publication, one a write")


class Price(msgspec.Struct):
    """Value of `pms:price:{symbol}`; `mark` is the mid, for old readers; `ts` when the price was last confirmed."""

    bid: float
    ask: float
    mid: float
    mark: float
    ts: int


class Publisher:
    """Ticks and prices of all markets."""

    def __init__(self, bus: Bus, names: Names, shares: Shares) -> None:
        self._names = names
        self._shares = shares
        self.writer = bus.ticks_writer(names.ticks, self.take)
        self._queued: list[Market] = []
        self._priced: dict[str, Market] = {}
        self._cached_ms: dict[str, int] = {}

    def publish(self, market: Market) -> None:
        """Have the market's tick written as soon as the line to Redis is idle, after the frames being read now."""
        market.queued = True
        self._queued.append(market)
        self.writer.wake()

    def take(self) -> list[Tick]:
        """The ticks to be written at this moment: one for each market of which there is something to tell."""
        markets, self._queued = self._queued, []
        now_us = time.time_ns() // 1000
        believes = self._shares.believes(monotonic_ms())
        taken = []
        for market in markets:
            market.queued = False
            market.settle()
            if market.moved and market.told and believes:
                taken.append(market.tick(now_us))
                self._priced[market.symbol] = market
        if taken:
            self._measure(taken, now_us)
        return taken

    def _measure(self, taken: list[Tick], now_us: int) -> None:
        _ticks.inc(len(taken))
        last = taken[-1]
        _lag.observe(max(0.0, now_us / 1000 - last.event_ms) / 1000)
        _work.observe(max(0, now_us - last.received_us) / 1_000_000)

    async def cache_prices(self) -> None:
        """Write changed prices every `PRICE_EVERY_S` until cancelled; skipped while Redis still owes an answer."""
        while True:
            await asyncio.sleep(PRICE_EVERY_S)
            if self._priced and self.writer.idle:
                markets, self._priced = self._priced, {}
                self._cache(markets, time.time_ns() // 1_000_000)

    def _cache(self, markets: dict[str, Market], now_ms: int) -> None:
        for symbol, market in markets.items():
            unchanged = market.l1.changed_ms < self._cached_ms.get(symbol, 0)
            if (
                not market.told
                or market.state != "live"
                or (unchanged and now_ms - self._cached_ms[symbol] < PRICE_REFRESH_MS)
            ):
                continue
            l1 = market.l1
            mid = (l1.bid + l1.ask) / 2
            price = Price(l1.bid, l1.ask, mid, mid, market.alive_ms)
            self.writer.set(self._names.price(symbol), encode(price), PRICE_LIFE_S)
            self._cached_ms[symbol] = now_ms

    def forget(self, symbol: str) -> None:
        """The symbol is no longer watched."""
        self._priced.pop(symbol, None)
        self._cached_ms.pop(symbol, None)
