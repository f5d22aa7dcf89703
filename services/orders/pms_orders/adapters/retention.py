"""What is old is removed: orders that ended longer ago than the history is kept, with all that belongs to them.

Owns the cutting; never touches a live order, nor `pending_orders`, which is the JS application's. Works in small
transactions on a connection of its own, so that neither trading nor the journal waits for it. Spawn `run`.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common import metrics
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.logging import get_logger
from pms_orders.adapters.recall import DATABASE_ERRORS

log = get_logger(__name__)

DAY_MS = 86_400_000
EVERY_S = 600.0
BATCH = 500
PAUSE_S = 0.2
"""Between two batches: at most 2,500 orders a second are removed, more than are ever made."""

_removed = metrics.counter("history_orders_removed", "Orders removed with their history because of their age")

_FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
_ALLOW = text("SELECT set_config('pms.retention', 'on', true)")
_OLD = text(
    f"DELETE FROM pms_orders.orders WHERE client_order_id IN (SELECT client_order_id FROM pms_orders.orders"
    f" WHERE status IN ({_FINAL}) AND updated_ms < :before ORDER BY updated_ms LIMIT :batch)"
    " RETURNING client_order_id"
)
_BELONGING = [
    text(f"DELETE FROM pms_orders.{table} WHERE client_order_id = ANY(:names)")
    for table in ("fills", "transitions", "answers")
]


class Retention:
    """Keeps `days` of history."""

    def __init__(self, engine: AsyncEngine, days: int, now_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._days = days
        self._now_ms = now_ms

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
                log.info("history_removed", orders=removed, older_than_days=self._days)

    async def sweep(self, batch: int = BATCH, pause_s: float = PAUSE_S) -> int:
        """Remove all that is old, `batch` orders at a time; how many. Raises one of `DATABASE_ERRORS`."""
        before_ms = self._now_ms() - self._days * DAY_MS
        removed = 0
        while True:
            count = await self._remove(before_ms, batch)
            removed += count
            _removed.inc(count)
            if count < batch:
                return removed
            await asyncio.sleep(pause_s)

    async def _remove(self, before_ms: int, batch: int) -> int:
        async with self._engine.begin() as connection:
            await connection.execute(_ALLOW)
            names = list((await connection.execute(_OLD, {"before": before_ms, "batch": batch})).scalars())
            if names:
                for statement in _BELONGING:
                    await connection.execute(statement, {"names": names})
        return len(names)
