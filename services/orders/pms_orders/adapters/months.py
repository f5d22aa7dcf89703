"""The months that transitions and answers are partitioned by: made before they begin, dropped when all in them is old.

Owns when; how is in the database (`pms_orders.open_month`, `pms_orders.drop_month`), for only the role that migrates
may make and drop tables. What no month was made for goes to the partition `…_other`, so that the journal never waits
for one, and from there into its month. Spawn `run`.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common import metrics
from pms_common.db import DATABASE_ERRORS, DAY_MS
from pms_common.logging import get_logger

log = get_logger(__name__)

EVERY_S = 600.0
AHEAD_MS = 31 * DAY_MS
"""How early a month is made: whoever is on call has so long to find out why it cannot be."""
HISTORIES = ("transitions", "answers")
BRIEFLY = "3s"
"""The journal waits while its rows in `…_other` are moved, and one that is 5 s behind stops new risk: so many rows that
they take longer (some 200,000) are left to a person."""

_ahead = metrics.gauge("history_months_ahead_seconds", "For how long from now the journal's months are made")

_OPENED = text("SELECT min(until_ms) FROM pms_orders.months WHERE history = :history AND newest")
_BRIEFLY = text(f"SET LOCAL statement_timeout = '{BRIEFLY}'")
_OPEN = text("SELECT pms_orders.open_month(:history)")
_DROP = text("SELECT pms_orders.drop_month(:history, :before)")


class Months:
    """Keeps what the last `days` need; 0: all."""

    def __init__(self, engine: AsyncEngine, days: int, now_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._days = days
        self._now_ms = now_ms
        self._ends_ms = dict.fromkeys(HISTORIES, now_ms())
        _ahead.set_function(lambda: (min(self._ends_ms.values()) - now_ms()) / 1000)

    async def run(self) -> None:
        """Look every ten minutes, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except DATABASE_ERRORS as error:
                log.warning("months_not_kept", error=str(error))

    async def look(self) -> None:
        """Make and drop what is due, each month in a transaction of its own. Raises one of `DATABASE_ERRORS`."""
        for history in HISTORIES:
            await self._open(history)
        if self._days:
            for history in HISTORIES:
                await self._drop(history)

    async def _open(self, history: str) -> None:
        """Make months until there are enough."""
        while True:
            async with self._engine.begin() as connection:
                self._ends_ms[history] = (await connection.execute(_OPENED, {"history": history})).scalar_one()
                if self._ends_ms[history] >= self._now_ms() + AHEAD_MS:
                    return
                await connection.execute(_BRIEFLY)
                log.info("month_opened", partition=(await connection.execute(_OPEN, {"history": history})).scalar())

    async def _drop(self, history: str) -> None:
        wanted = {"history": history, "before": self._now_ms() - self._days * DAY_MS}
        while True:
            async with self._engine.begin() as connection:
                dropped = (await connection.execute(_DROP, wanted)).scalar()
            if dropped is None:
                return
            log.info("month_dropped", partition=dropped)
