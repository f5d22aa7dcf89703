"""Moves the markets in time: ticks of the synthetic walks, the replayed capture, and the venue's own timers.

Owns the loops. What a tick does is decided in ``domain.market``; what it causes, in the engine.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pms_simulator.app.market_streams import CADENCES_MS
from pms_simulator.app.venue import Venue
from pms_simulator.domain import catalog
from pms_simulator.domain.market.moves import Levels
from pms_simulator.domain.market.replay import Recording
from pms_simulator.domain.market.synthetic import Walk
from pms_simulator.domain.state import Market
from pms_simulator.domain.units import to_units

Frames = Iterator[tuple[int, Mapping[str, Any]]]
PRIME_NS = 10_000_000_000
SHORTEST_WAIT_S = 0.0005  # below this, sleeping costs more than the frame is early


class MarketDriver:
    """The market's own movement. ``walks`` are the symbols that walk; one that starts to walk leaves its recording."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.walks: dict[str, Walk] = {}
        self.paused: set[str] = set()
        self._replayed: set[str] = set()
        specs = {symbol: market.spec for symbol, market in venue.engine.markets.items()}
        self._recording = Recording(specs)

    def open_markets(self) -> None:
        """Give every built-in symbol a first book, so that there is a price before the first tick."""
        for symbol, start in catalog.start_prices().items():
            market = self._venue.engine.markets.get(symbol)
            if market is None:
                continue
            self.start_walk(market, to_units(start, market.spec.price_places))
            self._step(market, self.walks[symbol], 0.0)

    def start_walk(self, market: Market, middle: int) -> Walk:
        """Let ``market`` walk from a price on."""
        config, symbol = self._venue.config, market.spec.symbol
        walk = Walk(market.spec, middle, f"{config.seed}:{symbol}", config.volatility)
        self.walks[symbol] = walk
        self.paused.discard(symbol)
        return walk

    async def run_walks(self) -> None:
        """Tick every synthetic market, for ever."""
        interval = self._venue.config.tick_interval_ms / 1000
        while True:
            await asyncio.sleep(interval)
            for symbol, walk in list(self.walks.items()):
                if symbol not in self.paused:
                    self._step(self._venue.engine.markets[symbol], walk, interval)

    def _step(self, market: Market, walk: Walk, seconds: float) -> None:
        now_ms = self._venue.now_ms()
        for move in walk.step(now_ms, seconds):
            self._venue.engine.apply(market, move, now_ms)
        self._venue.flush(now_ms)

    def prime(self, frames: Frames) -> None:
        """Play the start of a recording at once, so that there is a whole book before anybody looks.

        As far as the first snapshot; at most PRIME_NS of the recording.
        """
        for recorded_ns, frame in frames:
            self._play(frame)
            if "lastUpdateId" in frame or recorded_ns > PRIME_NS:
                return

    async def run_replay(self, frames: Frames) -> None:
        """Play the rest at its pace times ``speed``; then let its symbols walk on from where it ends."""
        speed = self._venue.config.speed
        first_ns: int | None = None
        started = time.monotonic()
        for recorded_ns, frame in frames:
            first_ns = first_ns if first_ns is not None else recorded_ns
            wait = started + (recorded_ns - first_ns) / 1e9 / speed - time.monotonic()
            if wait > SHORTEST_WAIT_S:
                await asyncio.sleep(wait)
            self._play(frame)
        for symbol in self._replayed - self.walks.keys():
            market = self._venue.engine.markets[symbol]
            self.start_walk(market, market.mark)

    def _play(self, frame: Mapping[str, Any]) -> None:
        venue = self._venue
        found = self._recording.moves(frame)
        if found is None:
            return
        symbol, moves = found
        market, now_ms = venue.engine.markets[symbol], venue.now_ms()
        if symbol not in self._replayed:
            self._replayed.add(symbol)
            self.walks.pop(symbol, None)
            venue.engine.apply(market, Levels([], [], replace=True), now_ms)
        if symbol in self.walks or symbol in self.paused:
            return
        for move in moves:
            venue.engine.apply(market, move, now_ms)
        venue.flush(now_ms)

    async def run_depth(self, cadence_ms: int) -> None:
        """Publish diffs at one cadence."""
        while True:
            await asyncio.sleep(cadence_ms / 1000)
            self._venue.streams.flush_depth(cadence_ms, self._venue.now_ms())

    async def run_seconds(self) -> None:
        """Once a second: mark prices, expiry of listen keys and good-till-date orders."""
        count = 0
        while True:
            await asyncio.sleep(1)
            count += 1
            now_ms = self._venue.now_ms()
            self._venue.streams.marks(now_ms, slow=count % 3 == 0)
            self._venue.users.expire(now_ms)
            self._venue.engine.expire_due(now_ms)
            self._venue.flush(now_ms)

    def timers(self) -> list[asyncio.Task[None]]:
        """Start the loops that every kind of market needs."""
        loops = [self.run_depth(cadence) for cadence in CADENCES_MS]
        return [asyncio.create_task(loop) for loop in (*loops, self.run_seconds(), self.run_walks())]
