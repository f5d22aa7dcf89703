"""Durable cursors, and consumer groups that come back where they were.

Owns how a group is created: at 0 the first time, never `$`; a lost one just below the lowest unacknowledged id.
Where the cursors are kept is the service's business (`CursorStore`). Used by readers.
"""

from collections.abc import Mapping
from typing import Protocol

from pms_common.bus.entry import Tracker
from pms_common.bus.errors import RespError
from pms_common.bus.ids import ZERO, id_key
from pms_common.bus.resp import Connection
from pms_common.logging import get_logger

log = get_logger(__name__)


class CursorStore(Protocol):
    """Keeps, outside Redis, up to which id each stream is acknowledged by a group."""

    async def load(self, group: str) -> Mapping[str, str]:
        """Cursor by stream; streams never seen are missing."""

    async def save(self, group: str, cursors: Mapping[str, str]) -> None:
        """Keep these cursors; other streams keep theirs."""


async def ensure_group(connection: Connection, tracker: Tracker) -> bool:
    """Create the tracker's group if it is missing; whether it was missing.

    The cursor is everything acknowledged, so the group goes on just below the lowest unacknowledged id. A stream whose
    last id is lower than that was lost or fell back: its group starts at 0, after the stream is moved up to the
    cursor, so that no new entry gets an id below it.
    """
    stream, group, cursor = tracker.stream, tracker.group, tracker.cursor
    last = await _last_id(connection, stream)
    behind = id_key(last) < id_key(cursor)
    missing = await _create(connection, stream, group, ZERO if behind else cursor)
    if behind:  # also where the group is there: a failover to a replica that lagged
        await _raise_last_id(connection, stream, cursor)
    tracker.recheck(last if missing else ZERO)
    if cursor != ZERO and (missing or behind):
        log.warning("group_recovered", stream=stream, group=group, cursor=cursor, last=last, missing=missing)
    return missing


async def _create(connection: Connection, stream: str, group: str, start: str) -> bool:
    try:
        await connection.call("XGROUP", "CREATE", stream, group, start, "MKSTREAM")
    except RespError as error:
        if error.code == "BUSYGROUP":
            return False
        raise
    return True


async def _raise_last_id(connection: Connection, stream: str, cursor: str) -> None:
    try:
        await connection.call("XSETID", stream, cursor)
    except RespError as error:
        if "smaller than" not in str(error):  # somebody has written meanwhile, above the cursor
            raise


async def _last_id(connection: Connection, stream: str) -> str:
    try:
        info = await connection.call("XINFO", "STREAM", stream)
    except RespError as error:
        if str(error).startswith("ERR no such key"):
            return ZERO
        raise
    last: bytes = info[info.index(b"last-generated-id") + 1]
    return last.decode()
