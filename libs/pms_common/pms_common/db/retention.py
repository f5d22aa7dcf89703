"""What is old is removed, in small transactions on a connection of their own: neither trading nor the journal waits.

Owns the pace and the clock of it; what may go, and in which order, is the business of the service whose table it is.
Used by orders and algos. Spawn `run`.
"""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pms_common import metrics
from pms_common.db.engine import DATABASE_ERRORS
from pms_common.logging import get_logger

log = get_logger(__name__)

DAY_MS = 86_400_000
EVERY_S = 600.0
BATCH = 500
PAUSE_S = 0.2
"""Between two batches: at most 2,500 orders a second are removed, more than are ever made."""

_removed = metrics.counter("history_removed", "Ended orders or algos removed with their history because of their age")

Remove = Callable[[AsyncConnection, int, int], Awaitable[int]]
"""(connection in a transaction, what ended before this time (ms), at most so many) → how many went."""


class Retention:
    """Keeps `days` of history."""

    def __init__(self, engine: AsyncEngine, days: int, now_ms: Callable[[], int], remove: Remove) -> None:
        self._engine = engine
        self._days = days
        self._now_ms = now_ms
        self._remove = remove

    async def run(self) -> None:
        """Remove what is old, every ten minutes, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                removed = await self.sweep()
            except DATABASE_ERRORS as error:
                log.warning("history_not_removed", error=str(error))
                continue
            if removed:
                log.info("history_removed", ended=removed, older_than_days=self._days)

    async def sweep(self, batch: int = BATCH, pause_s: float = PAUSE_S) -> int:
        """Remove all that is old, `batch` at a time; how many. Raises one of `DATABASE_ERRORS`."""
        before_ms = self._now_ms() - self._days * DAY_MS
        removed = 0
        while True:
            async with self._engine.begin() as connection:
                count = await self._remove(connection, before_ms, batch)
            removed += count
            _removed.inc(count)
            if count < batch:
                return removed
            await asyncio.sleep(pause_s)
