"""Pages of a history that lies in PostgreSQL, for whoever asks its owner on the queries stream.

Owns the questions under way (one after the other, so that people's reading never crowds out the journal), the bound of
a page, and cursors. What a page holds is its owner's business. Used by risk and orders.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.bus import Entry, Outbox, UpdatesWriter
from pms_common.contracts.base import encode
from pms_common.contracts.bus.common import HistoryKind, HistoryPage, HistoryRequest, question
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.history import Page
from pms_common.contracts.results import failure
from pms_common.logging import get_logger

log = get_logger(__name__)

MAX_ITEMS = 200
"""Of a page: about 60 kB on the updates stream."""
TOO_OLD_MS = 10_000
"""Who has asked so long ago does not wait any more."""

Read = Callable[[AsyncEngine, str, str, int], Awaitable[Page]]
"""(engine, account id, cursor, most) → a page. Raises CommandError for a cursor that is none."""


class Histories:
    """Answers questions. Spawn `run`."""

    def __init__(
        self,
        engine: AsyncEngine,
        kinds: Mapping[HistoryKind, Read],
        outbox: Outbox,
        updates: UpdatesWriter,
        now_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._kinds = kinds
        self._outbox = outbox
        self._updates = updates
        self._now_ms = now_ms
        self._asked: asyncio.Queue[tuple[HistoryRequest, Entry]] = asyncio.Queue()  # bounded by max_unacked

    def beside(self, snapshots: Callable[[Entry], None]) -> Callable[[Entry], None]:
        """The handler of a queries stream on which snapshots are asked for, too."""

        def handle(entry: Entry) -> None:
            asked = question.decode(entry.data)
            if isinstance(asked, HistoryRequest):
                self._asked.put_nowait((asked, entry))
            else:
                snapshots(entry)

        return handle

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            asked, entry = await self._asked.get()
            if self._now_ms() - entry.ms <= TOO_OLD_MS:
                self._updates.add(HistoryPage, token=asked.token, body=msgspec.Raw(await self._read(asked)))
            self._outbox.ack(entry)

    async def _read(self, asked: HistoryRequest) -> bytes:
        read = self._kinds.get(asked.what)
        try:
            if read is None:
                raise CommandError(ErrorCode.VALIDATION_FAILED, f"There is no history of {asked.what} here")
            most = max(1, min(asked.limit, MAX_ITEMS))
            return encode(await read(self._engine, asked.account_id, asked.before, most))
        except CommandError as error:
            return encode(failure(error, ""))
        except (OSError, SQLAlchemyError) as error:
            log.error("history_not_read", what=asked.what, why=f"{type(error).__name__}: {str(error)[:300]}")
            return encode(failure(CommandError(ErrorCode.INFRA_NOT_READY, "The database does not answer now"), ""))


def place(before: str) -> tuple[int, str]:
    """What a cursor of time and key says; the newest where it is empty."""
    if not before:
        return 2**62, ""
    at_ms, _, key = before.partition("~")
    if not (at_ms.isascii() and at_ms.isdigit()) or len(at_ms) > 18:
        raise CommandError(ErrorCode.VALIDATION_FAILED, f"{before[:128]} is no cursor", field="before")
    return int(at_ms), key


async def rows(engine: AsyncEngine, query: str, **values: Any) -> Sequence[Mapping[str, Any]]:
    """Rows of a query."""
    async with engine.connect() as connection:
        return [dict(row._mapping) for row in await connection.execute(text(query), values)]


def page(found: Sequence[Mapping[str, Any]], most: int, item: Callable[[Mapping[str, Any]], Any]) -> Page:
    """A page of rows, of which one more was asked for than it holds; each has its `at_ms` and `key`."""
    kept = found[:most]
    cursor = f"{kept[-1]['at_ms']}~{kept[-1]['key']}" if len(found) > most else None
    return Page(items=[item(row) for row in kept], next=cursor)
