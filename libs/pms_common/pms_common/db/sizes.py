"""How large a service's tables are, for whoever has to give the database room.

Owns the gauge; reads the sizes that PostgreSQL keeps, never a row. Used by every service with tables. Spawn `run`.
"""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common import metrics
from pms_common.db.engine import DATABASE_ERRORS
from pms_common.logging import get_logger

log = get_logger(__name__)

EVERY_S = 600.0

_bytes = metrics.gauge("table_bytes", "Size of a table of this service with its indexes", ["table"])

SIZES = text(
    "SELECT coalesce(parent.relname, c.relname) AS name, sum(pg_total_relation_size(c.oid))::bigint AS bytes"
    " FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid"
    " LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent"
    " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(:schema) GROUP BY 1"
)
"""A table of partitions has no size of its own: theirs are added up."""


class TableSizes:
    """Measures the tables of one schema."""

    def __init__(self, engine: AsyncEngine, schema: str) -> None:
        self._engine = engine
        self._schema = schema

    async def run(self) -> None:
        """Look every ten minutes, until cancelled."""
        while True:
            try:
                await self.look()
            except DATABASE_ERRORS as error:
                log.warning("tables_not_measured", error=str(error))
            await asyncio.sleep(EVERY_S)

    async def look(self) -> dict[str, int]:
        """The size of each table in bytes. Raises one of `DATABASE_ERRORS`."""
        async with self._engine.connect() as connection:
            found = {row.name: row.bytes for row in await connection.execute(SIZES, {"schema": self._schema})}
        for name, size in found.items():
            _bytes.labels(name).set(size)
        return found
