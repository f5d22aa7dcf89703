"""The feed's slow heartbeat: leases, aliveness, repeated ticks, silent streams, snapshots, probes, metrics.

Owns the rhythm. Everything that does not happen per frame is started here.
"""

import asyncio
from collections.abc import Callable

from pms_common import metrics
from pms_common.clock import now_ms
from pms_feed.app.connection import Connection
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.probe import Probe
from pms_feed.app.resync import Resync
from pms_feed.app.watching import Watching

TURN_S = 0.1
REPEAT_MS = 700
"""A tick is repeated at least once a second; one turn and a slow loop fit in the rest."""

_frames = metrics.counter("feed_frames", "Market-data frames received", ["kind"])
_gaps = metrics.counter("feed_gaps", "Breaks of update-id continuity in the depth stream")
_states = metrics.gauge("feed_symbols", "Watched symbols by tick state", ["state"])
_staleness = metrics.gauge("feed_staleness_seconds", "Longest time any watched symbol's price is unconfirmed")


Ready = Callable[[str, bool, str], None]
"""Told (part, ok, why), like `Lifecycle.ready`."""


class Pulse:
    """Looks after everything ten times a second."""

    def __init__(self, watching: Watching, frames: Frames, resync: Resync, probe: Probe, ready: Ready) -> None:
        self._watching = watching
        self._frames = frames
        self._resync = resync
        self._probe = probe
        self._ready = ready
        self._counted: dict[str, int] = {}

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
        self._probe.turn(markets, now)
        connected = all(connection.heard_ms for connection in self._watching.connections)
        self._ready("market_data", connected, "" if connected else "no connection to the venue")
        self._measure(now)

    def _tend(self, market: Market, connection: Connection, heard_ms: int, now: int) -> None:
        before = market.state
        market.look(now, heard_ms)
        due = now - market.published_ms >= REPEAT_MS or market.state != before
        if due and market.l1.known and market.told:
            market.moved = True
            if not market.queued:
                market.publish(market)
        for stream in market.dead_streams(now):
            connection.renew(market, stream)

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
            _gaps.inc(market.gaps)
            frames.garbage += market.garbage
            market.gaps = market.garbage = 0
        for state, count in states.items():
            _states.labels(state).set(count)
        _staleness.set((now - oldest_ms) / 1000)
