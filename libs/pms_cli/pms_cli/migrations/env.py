"""Alembic's entry: runs the revisions on the database that `pms_cli.migrate` names."""

import asyncio

from alembic import context
from sqlalchemy import text
from sqlalchemy.engine import Connection

from pms_common.db import create_engine

LOCK = 0x706D73  # "pms": two processes that migrate at once do so one after the other


def _migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS pms_meta"))
    context.configure(connection=connection, version_table_schema="pms_meta")
    context.run_migrations()


async def _run(url: str) -> None:
    engine = create_engine(url, "migrate")
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # leaves the thread's current loop alone
    runner.run(_run(context.config.attributes["url"]))
