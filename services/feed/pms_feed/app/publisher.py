"""What the feed tells: ticks at once, cached prices at leisure.

Owns when a tick is made (once for all frames of one read of the socket) and how often a price is cached. Never
decides whether a price is good: the market's state does. Used by `app.market` (through `publish`) and `app.pulse`.
"""

import asyncio
import time

import msgspec

from pms_common import metrics
from pms_common.bus import Outbox
from pms_common.bus.ticks import TicksWriter
from pms_common.contracts.bus.base import encode
from pms_common.names import Names
from pms_feed.app.market import Market

PRICE_EVERY_S = 0.1
PRICE_LIFE_S = 30
PRICE_REFRESH_MS = 10_000
"""A price that does not change is written anew well inside its life."""

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

    def __init__(self, writer: TicksWriter, outbox: Outbox, names: Names) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._outbox = outbox
        self._names = names
        self._queued: list[Market] = []
        self._priced: dict[str, Market] = {}
        self._cached_ms: dict[str, int] = {}

    def publish(self, market: Market) -> None:
        """Have the market's tick sent after the frames that are being read now."""
        market.queued = True
        if not self._queued:
            self._loop.call_soon(self._flush)
        self._queued.append(market)

    def _flush(self) -> None:
        markets, self._queued = self._queued, []
        now_us = time.time_ns() // 1000
        now_ms = now_us // 1000
        put = self._writer.put
        for market in markets:
            market.queued = False
            market.published_ms = now_ms
            put(market.tick(now_us))
            self._priced[market.symbol] = market
        _ticks.inc(len(markets))
        last = markets[-1].l1
        _lag.observe(max(0.0, now_ms - last.event_ms) / 1000)
        _work.observe(max(0, now_us - last.received_us) / 1_000_000)

    async def cache_prices(self) -> None:
        """Write changed prices every `PRICE_EVERY_S` until cancelled; skipped while Redis still owes an answer."""
        while True:
            await asyncio.sleep(PRICE_EVERY_S)
            if self._priced and not self._outbox.pending:
                markets, self._priced = self._priced, {}
                self._cache(markets, time.time_ns() // 1_000_000)

    def _cache(self, markets: dict[str, Market], now_ms: int) -> None:
        for symbol, market in markets.items():
            unchanged = market.l1.changed_ms < self._cached_ms.get(symbol, 0)
            if market.state != "live" or (unchanged and now_ms - self._cached_ms[symbol] < PRICE_REFRESH_MS):
                continue
            l1 = market.l1
            mid = (l1.bid + l1.ask) / 2
            price = Price(l1.bid, l1.ask, mid, mid, market.alive_ms)
            self._outbox.set(self._names.price(symbol), encode(price), ex_s=PRICE_LIFE_S)
            self._cached_ms[symbol] = now_ms

    def forget(self, symbol: str) -> None:
        """The symbol is no longer watched."""
        self._priced.pop(symbol, None)
        self._cached_ms.pop(symbol, None)
