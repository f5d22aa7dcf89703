"""Leases on the symbols whose ticks are wanted, renewed while they are.

Owns the service's one lease. Never reads ticks.
"""

import asyncio
from collections.abc import Callable, Iterable

from pms_common.bus import Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import WatchLease
from pms_common.names import Names

LIFE_MS = 30_000
RENEW_S = 10.0


class Watch:
    """Tells the feed what is wanted: at once when it changes, and every few seconds."""

    def __init__(
        self, outbox: Outbox, names: Names, wanted: Callable[[], Iterable[str]], now_ms: Callable[[], int]
    ) -> None:
        self._outbox, self._names, self._wanted, self._now_ms = outbox, names, wanted, now_ms
        self._owner = f"{names.namespace}:algos"  # a feed may serve several namespaces
        self._told: list[str] = []

    def changed(self) -> None:
        """The wanted symbols may have changed; only a new one is worth telling at once."""
        if not set(self._wanted()) <= set(self._told):
            self._tell()

    async def run(self) -> None:
        """Renew the lease until cancelled."""
        while True:
            self._tell()
            await asyncio.sleep(RENEW_S)

    def _tell(self) -> None:
        symbols = sorted(set(self._wanted()))
        if symbols or self._told:
            lease = WatchLease(owner=self._owner, symbols=symbols, until_ms=self._now_ms() + LIFE_MS)
            self._outbox.add(self._names.watch, encode(lease))
        self._told = symbols
