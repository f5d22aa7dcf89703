"""Rows of the JS application's history that its tables did not take: tried again until they do.

Owns `pms_risk.left_out`, which the journal fills in the transaction that leaves a row out: what is in it is missing
there, with the reason. Ids follow from what a row tells, so one that came by another way is not told twice. Off the hot
path, on connections of its own. Spawn `run`.
"""

import asyncio
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.db import Statement
from pms_common.logging import get_logger
from pms_common.metrics import gauge

log = get_logger(__name__)

LOOK_S = 10.0
AT_ONCE = 100
"""Rows tried at one look, those first that have waited longest for it."""
_NEXT = text(
    "SELECT id, name, row::text AS row FROM pms_risk.left_out WHERE name = ANY(:names) ORDER BY tried_at, n LIMIT :most"
)
_COUNT = text("SELECT count(*) FROM pms_risk.left_out")
_WAIT_BRIEFLY = text("SET LOCAL lock_timeout = '100ms'")
_TAKEN = text("DELETE FROM pms_risk.left_out WHERE id = :id")
_REFUSED = text("UPDATE pms_risk.left_out SET reason = :reason, tries = tries + 1, tried_at = now() WHERE id = :id")

_left_out = gauge("risk_rows_left_out", "Rows that a table of the JS application does not take, tried again")


class LeftOut:
    """Writes what is missing. `statements` by the names that rows bear."""

    def __init__(self, engine: AsyncEngine, statements: Mapping[str, Statement]) -> None:
        self._engine = engine
        self._statements = statements

    async def run(self) -> None:
        """Look regularly until cancelled; a database that is away is asked again."""
        while True:
            try:
                await self.look()
            except (OSError, SQLAlchemyError) as error:
                log.error("left_out_not_read", error=str(error)[:300])
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Try some of them once more."""
        async with self._engine.connect() as connection:
            found = await connection.execute(_NEXT, {"names": list(self._statements), "most": AT_ONCE})
            rows = found.all()
        written = [await self._write(row.id, self._statements[row.name], row.row) for row in rows]
        if any(written):
            log.info("left_out_rows_written", rows=sum(written))
        async with self._engine.connect() as connection:
            _left_out.set((await connection.execute(_COUNT)).scalar_one())

    async def _write(self, row_id: str, statement: Statement, row: str) -> bool:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(_WAIT_BRIEFLY)
                await connection.exec_driver_sql(statement.bulk, (row,))
                await connection.execute(_TAKEN, {"id": row_id})
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            async with self._engine.begin() as connection:
                await connection.execute(_REFUSED, {"id": row_id, "reason": str(error.orig)[:500]})
            return False
        return True
