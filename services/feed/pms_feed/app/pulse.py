"""The feed's slow heartbeat: leases, aliveness, repeated ticks, silent streams, snapshots, probes, metrics.

Owns nothing but the rhythm and the comparison with the venue's REST quotes. Everything that does not happen per frame
happens here.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from pms_common import metrics
from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.connection import Connection
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.resync import Resync
from pms_feed.app.watching import Watching
from pms_feed.app.wire import RestError, RestQuote

log = get_logger(__name__)

TURN_S = 0.1
REPEAT_MS = 700
"""A tick is repeated at least once a second; one turn and a slow loop fit in the rest."""
PROBE_EVERY_MS = 2_000
"""At most 5 weight each: 150 a minute."""

_frames = metrics.counter("feed_frames", "Market-data frames received", ["kind"])
_gaps = metrics.counter("feed_gaps", "Breaks of update-id continuity in the depth stream")
_states = metrics.gauge("feed_symbols", "Watched symbols by tick state", ["state"])
_staleness = metrics.gauge("feed_staleness_seconds", "Longest time any watched symbol's price is unconfirmed")
_probes = metrics.counter("feed_probes", "REST quotes compared with ours", ["outcome"])


Ready = Callable[[str, bool, str], None]
"""Told (part, ok, why), like `Lifecycle.ready`."""


class Quotes(Protocol):
    """Where REST quotes come from. Raises `RestError`."""

    async def quotes(self, symbols: list[str]) -> list[RestQuote]: ...


class Pulse:
    """Looks after everything ten times a second."""

    def __init__(self, watching: Watching, frames: Frames, resync: Resync, quotes: Quotes, ready: Ready) -> None:
        self._watching = watching
        self._frames = frames
        self._resync = resync
        self._quotes = quotes
        self._ready = ready
        self._counted: dict[str, int] = {}
        self._probe: asyncio.Task[None] | None = None
        self._probed_ms = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        changed = self._watching.changed
        while True:
            self.turn(now_ms())
            changed.clear()
            try:
                await asyncio.wait_for(changed.wait(), TURN_S)
            except TimeoutError:
                continue

    def turn(self, now: int) -> None:
        """One beat."""
        self._watching.follow()
        for connection in self._watching.connections:
            heard_ms = connection.heard_ms
            for market in connection.markets.values():
                self._tend(market, connection, heard_ms, now)
        markets = self._watching.markets.values()
        self._resync.turn(markets, now)
        self._start_probe(now)
        connected = all(connection.heard_ms for connection in self._watching.connections)
        self._ready("market_data", connected, "" if connected else "no connection to the venue")
        self._measure(now)

    def _tend(self, market: Market, connection: Connection, heard_ms: int, now: int) -> None:
        before = market.state
        market.look(now, heard_ms)
        due = now - market.published_ms >= REPEAT_MS or market.state != before
        if due and market.l1.known and not market.queued:
            market.publish(market)
        for stream in market.dead_streams(now):
            connection.renew(market, stream)

    def _start_probe(self, now: int) -> None:
        if now - self._probed_ms < PROBE_EVERY_MS or (self._probe is not None and not self._probe.done()):
            return
        silent = [market for market in self._watching.markets.values() if market.wants_probe(now)]
        if silent:
            self._probed_ms = now
            self._probe = asyncio.create_task(self._compare(silent, now))

    async def _compare(self, silent: list[Market], asked_ms: int) -> None:
        try:
            quotes = await self._quotes.quotes([market.symbol for market in silent])
        except RestError as error:
            _probes.labels("failed").inc()
            log.warning("probe_failed", error=str(error))
            return
        by_symbol = {quote.symbol: quote for quote in quotes}
        for market in silent:
            quote = by_symbol.get(market.symbol)
            if quote is not None and market.frame_ms < asked_ms:  # a frame since then says more
                equal = market.on_rest_quote(quote, asked_ms, now_ms() * 1000)
                _probes.labels("equal" if equal else "different").inc()

    def _measure(self, now: int) -> None:
        frames = self._frames
        totals = {"quote": frames.quotes, "depth": frames.depths, "garbage": frames.garbage, "other": frames.other}
        for kind, total in totals.items():
            _frames.labels(kind).inc(total - self._counted.get(kind, 0))
        self._counted = totals
        states = {"live": 0, "stale": 0, "resyncing": 0, "halted": 0}
        oldest_ms = now
        for market in self._watching.markets.values():
            states[market.state] += 1
            oldest_ms = min(oldest_ms, market.alive_ms or market.since_ms)
            if market.gaps:
                _gaps.inc(market.gaps)
                market.gaps = 0
        for state, count in states.items():
            _states.labels(state).set(count)
        _staleness.set((now - oldest_ms) / 1000)

    async def close(self) -> None:
        """End what is under way."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
