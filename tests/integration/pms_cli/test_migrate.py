"""The schema goes up and down on a real PostgreSQL."""

import asyncio

from pms_cli import migrate
from pms_common.db import connect, create_engine, take_epoch

TABLES = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname LIKE 'pms_%'"
SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pms_%'"


async def _value(url: str, sql: str) -> int:
    connection = await connect(url)
    try:
        return int(await connection.fetchval(sql))
    finally:
        await connection.close()


async def test_upgrade_downgrade_and_upgrade_again_end_at_the_same_schema(database: str) -> None:
    assert await migrate.current(database) == migrate.newest()
    tables = await _value(database, TABLES)
    assert await _value(database, SCHEMAS) == 5
    await asyncio.to_thread(migrate.downgrade, database)
    assert await migrate.current(database) == set()
    assert await _value(database, SCHEMAS) == 1  # pms_meta keeps the version table
    await asyncio.to_thread(migrate.upgrade, database)
    assert await migrate.current(database) == migrate.newest()
    assert await _value(database, TABLES) == tables


async def test_an_epoch_rises_by_one_for_each_writer_of_a_service(database: str) -> None:
    engine = create_engine(database)
    try:
        assert [await take_epoch(engine, "risk") for _ in range(3)] == [1, 2, 3]
        assert await take_epoch(engine, "orders") == 1
    finally:
        await engine.dispose()
