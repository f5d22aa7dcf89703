"""Cursors of the streams the gateway reads, and the log's own position, in PostgreSQL (`pms_gateway.cursors`).

A database that is down makes the gateway not ready, not dead: cursors only matter where Redis loses a group.
"""

from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from pms_common.db.cursors import PgCursorStore
from pms_common.logging import get_logger

log = get_logger(__name__)

READER = "log"
"""Under this name the log's own position is kept."""


class Cursors:
    """A `CursorStore` that outlives its database; `report(part, ok, why)` hears whether it takes them."""

    def __init__(self, store: PgCursorStore, report: Callable[[str, bool, str], None]) -> None:
        self._store = store
        self._report = report

    async def load(self, group: str) -> Mapping[str, str]:
        """Cursor by stream."""
        return await self._store.load(group)

    async def save(self, group: str, cursors: Mapping[str, str]) -> None:
        """Keep these cursors; other streams keep theirs."""
        try:
            await self._store.save(group, cursors)
        except (SQLAlchemyError, OSError) as error:
            log.warning("cursors_not_saved", error=str(error))
            self._report("database", False, f"cursors cannot be saved: {error}")
        else:
            self._report("database", True, "")
