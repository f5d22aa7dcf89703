"""Bus cursors in PostgreSQL: what lets a lost consumer group go on where it was. One table in each service's schema."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


class PgCursorStore:
    """A `pms_common.bus` cursor store on `pms_<service>.cursors`, which it makes when first used.

    Written now and then by the readers, off the hot path; a cursor that is old only means entries read again.
    """

    def __init__(self, engine: AsyncEngine, service: str) -> None:
        self._engine = engine
        self._table = f"pms_{service}.cursors"
        self._made = False

    async def load(self, group: str) -> Mapping[str, str]:
        """Cursor by stream; streams never seen are missing."""
        await self._make()
        sql = text(f"SELECT stream, cursor FROM {self._table} WHERE group_name = :group")
        async with self._engine.connect() as connection:
            rows = await connection.execute(sql, {"group": group})
            return {row.stream: row.cursor for row in rows}

    async def save(self, group: str, cursors: Mapping[str, str]) -> None:
        """Keep these cursors; other streams keep theirs."""
        if not cursors:
            return
        await self._make()
        sql = text(
            f"INSERT INTO {self._table} (group_name, stream, cursor) VALUES (:group, :stream, :cursor) "
            "ON CONFLICT (group_name, stream) DO UPDATE SET cursor = excluded.cursor"
        )
        rows = [{"group": group, "stream": stream, "cursor": cursor} for stream, cursor in cursors.items()]
        async with self._engine.begin() as connection:
            await connection.execute(sql, rows)

    async def _make(self) -> None:
        if self._made:
            return
        columns = "group_name text, stream text, cursor text NOT NULL, PRIMARY KEY (group_name, stream)"
        async with self._engine.begin() as connection:
            await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {self._table} ({columns})"))
        self._made = True
