"""Alembic's entry: runs the revisions on the database that `pms_cli.migrate` names, while its services trade.

Each revision is a transaction of its own, so that a lock that one takes is held for its own statements only; and a
statement that has to wait for a lock gives up before the journals, which wait behind it, are late. What is given up is
tried again: nothing of it was done, or (after `autocommit_block`) it can be done twice.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from alembic import context
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from pms_common.db import connect, create_engine
from pms_common.logging import get_logger

log = get_logger(__name__)

LOCK = 0x706D73  # "pms": two processes that migrate at once do so one after the other
LOCK_TIMEOUT = "1500ms"
"""A journal that is 5 s behind stops new risk. An autovacuum that holds a table, which may be for hours, is ended by
PostgreSQL for whoever has waited for it longer than `deadlock_timeout`, 1 s."""
TRIES = 60
PAUSE_S = 2.0
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"


def _migrate(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS pms_meta"))
    connection.commit()
    context.configure(connection=connection, version_table_schema="pms_meta", transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


@contextlib.asynccontextmanager
async def _alone(url: str) -> AsyncIterator[None]:
    """Be the one that migrates. Asked for again and again: to wait in a query would hold up `CREATE INDEX
    CONCURRENTLY` of the one that has it."""
    connection = await connect(url, "migrate")
    try:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        yield
    finally:
        await connection.close()


async def _run(url: str) -> None:
    engine = create_engine(url, "migrate", statement_s=None)
    try:
        async with _alone(url):
            for left in reversed(range(TRIES)):
                try:
                    async with engine.connect() as connection:
                        await connection.run_sync(_migrate)
                    return
                except DBAPIError as error:
                    held = getattr(error.orig, "sqlstate", "") in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED)
                    if not held or not left:
                        raise
                    log.warning("migration_waits", error=str(error.orig), tries_left=left)
                await asyncio.sleep(PAUSE_S)
    finally:
        await engine.dispose()


with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # leaves the thread's current loop alone
    runner.run(_run(context.config.attributes["url"]))
