"""Taking the epoch from a writer that was stopped at the worst moment, on a real PostgreSQL."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url

from pms_common.db import create_engine, take_epoch
from pms_common.db.engine import application_name
from pms_common.db.epochs import journal_name

SERVICE = "orders"
SOON_S = 10.0
"""Without an end of its session the lock is held for ever; the machine may be busy."""


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


@asynccontextmanager
async def _stopped_between_parse_and_sync(url: str) -> AsyncIterator[asyncio.StreamReader]:
    """A journal's session with the lock on its epoch, in the middle of a request: no driver stops there on demand."""
    address = make_url(url)
    assert address.host is not None and address.username is not None and address.database is not None
    reader, writer = await asyncio.open_connection(address.host, address.port)
    named = application_name(journal_name(SERVICE))
    words = ("user", address.username, "database", address.database, "application_name", named)
    start = struct.pack("!i", 196_608) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
    writer.write(struct.pack("!i", len(start) + 4) + start)
    await reader.readuntil(b"Z\0\0\0\x05I")
    lock = f"BEGIN; UPDATE pms_meta.epochs SET batch = 1 WHERE service = '{SERVICE}'"
    writer.write(_message(b"Q", lock.encode() + b"\0"))
    await reader.readuntil(b"Z\0\0\0\x05T")
    writer.write(_message(b"P", b"\0SELECT 1\0\0\0") + _message(b"H", b""))
    await reader.readuntil(b"1\0\0\0\x04")
    yield reader
    writer.close()


async def test_a_writer_that_was_stopped_amid_a_request_does_not_keep_its_successor_out(database: str) -> None:
    engine = create_engine(database)
    first = await take_epoch(engine, SERVICE)
    async with _stopped_between_parse_and_sync(database) as session:
        async with asyncio.timeout(SOON_S):
            assert await take_epoch(engine, SERVICE) == first + 1
        assert b"terminating connection" in await session.read()
    await engine.dispose()
