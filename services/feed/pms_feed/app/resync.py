"""Snapshots for books that want one: soon, few at a time, never the same one in a hurry.

Owns the order and pace of snapshot requests. A symbol without its book is not blind: bookTicker carries on.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from pms_common import metrics
from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.market import Market
from pms_feed.app.wire import RestError, Snapshot

log = get_logger(__name__)

AT_ONCE = 4
AFTER_OPENED_MS = 100
"""A snapshot asked for at once may be older than the stream's first diff."""
FIRST_RETRY_MS = 1_000
LONGEST_RETRY_MS = 30_000

_resyncs = metrics.counter("feed_resyncs", "Snapshots taken", ["outcome"])


class Snapshots(Protocol):
    """Where snapshots come from. Raises `RestError`."""

    async def snapshot(self, symbol: str) -> Snapshot: ...


class Resync:
    """Gives markets their snapshots."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._running: dict[str, asyncio.Task[None]] = {}
        self._not_before_ms: dict[str, int] = {}
        self._retry_ms: dict[str, int] = {}

    def turn(self, markets: Iterable[Market], now: int) -> None:
        """Start what is due."""
        for market in markets:
            if len(self._running) >= AT_ONCE:
                return
            due = market.wants_snapshot and 0 < market.opened_ms <= now - AFTER_OPENED_MS
            if due and market.symbol not in self._running and now >= self._not_before_ms.get(market.symbol, 0):
                self._running[market.symbol] = asyncio.create_task(self._fetch(market))

    async def _fetch(self, market: Market) -> None:
        symbol, asked_ms = market.symbol, now_ms()
        market.book.expecting = True
        try:
            snapshot = await self._snapshots.snapshot(symbol)
            stands = bool(market.opened_ms) and market.on_snapshot(snapshot, asked_ms, now_ms() * 1000)
            _resyncs.labels("stands" if stands else "too_old").inc()
        except RestError as error:
            stands = False
            _resyncs.labels("failed").inc()
            log.warning("snapshot_failed", symbol=symbol, error=str(error))
        finally:
            market.book.expecting = False
            del self._running[symbol]
        self._retry_ms[symbol] = (
            FIRST_RETRY_MS if stands else min(LONGEST_RETRY_MS, 2 * self._retry_ms.get(symbol, FIRST_RETRY_MS // 2))
        )
        self._not_before_ms[symbol] = now_ms() + self._retry_ms[symbol]

    def forget(self, symbol: str) -> None:
        """The symbol is no longer watched."""
        if symbol in self._running:
            self._running[symbol].cancel()
        self._not_before_ms.pop(symbol, None)
        self._retry_ms.pop(symbol, None)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
