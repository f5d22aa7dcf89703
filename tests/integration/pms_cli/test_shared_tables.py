"""The tables of the JS application: made as Prisma makes them, adopted as they are, up and down."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
from tests import prisma

from pms_cli import migrate
from pms_common.db import connect

NAMES = ", ".join(f"'{name}'" for name in prisma.TABLES)
CATALOG = (
    "SELECT table_name || '.' || column_name, data_type || coalesce(datetime_precision::text, ''), is_nullable,"
    f" column_default FROM information_schema.columns WHERE table_name IN ({NAMES}) AND table_schema = 'public'",
    f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({NAMES}) AND schemaname = 'public'",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    f" AND conrelid IN (SELECT oid FROM pg_class WHERE relname IN ({NAMES})) AND contype <> 'n'",
)


async def catalog(connection: Any) -> set[tuple[Any, ...]]:
    """Columns, indexes and constraints of the shared tables."""
    return {tuple(row) for query in CATALOG for row in await connection.fetch(query)}


@pytest.fixture
async def empty(database: str) -> AsyncIterator[Any]:
    """A connection to a database with nothing of ours; newest again after the test."""
    await asyncio.to_thread(migrate.downgrade, database)
    connection = await connect(database)
    assert await catalog(connection) == set()
    yield connection
    await asyncio.to_thread(migrate.downgrade, database)
    await connection.execute(f"DROP TABLE IF EXISTS {', '.join(reversed(prisma.TABLES))} CASCADE")
    await asyncio.to_thread(migrate.upgrade, database)
    await connection.close()


async def test_an_empty_database_gets_what_prisma_makes_and_loses_it_again(empty: Any, database: str) -> None:
    await empty.execute(prisma.tables("newest"))
    by_prisma = await catalog(empty)
    await empty.execute(f"DROP TABLE {', '.join(prisma.TABLES)} CASCADE")
    await asyncio.to_thread(migrate.upgrade, database)
    assert await catalog(empty) == by_prisma
    await asyncio.to_thread(migrate.downgrade, database)
    assert await catalog(empty) == set()


async def test_what_the_application_has_stored_or_built_on_tables_of_ours_survives_a_downgrade(
    empty: Any, database: str
) -> None:
    await asyncio.to_thread(migrate.upgrade, database)
    before = await catalog(empty)
    await empty.execute("INSERT INTO users (id, username, password_hash, updated_at) VALUES ('u', 'u', '', now())")
    account = "INSERT INTO sub_accounts (id, user_id, name, initial_balance, current_balance, updated_at) VALUES"
    await empty.execute(f"{account} ('a', 'u', 'a', 1, 1, now())")
    await empty.execute("CREATE VIEW deals AS SELECT * FROM trade_executions")
    await asyncio.to_thread(migrate.downgrade, database)
    there = {row[0] for row in await empty.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert there == {"users", "sub_accounts", "trade_executions", "virtual_positions"}
    assert await empty.fetchval("SELECT username FROM users JOIN sub_accounts ON user_id = users.id") == "u"
    await asyncio.to_thread(migrate.upgrade, database)
    assert await catalog(empty) == before
    await empty.execute("DROP VIEW deals")


@pytest.mark.parametrize("generation", get_args(prisma.Generation))
async def test_a_prisma_database_is_left_as_it_is(empty: Any, database: str, generation: prisma.Generation) -> None:
    await empty.execute(prisma.tables(generation))
    account = "INSERT INTO sub_accounts (id, name, initial_balance, current_balance, updated_at) VALUES"
    await empty.execute(f"{account} ('a', 'a', 1, 1, now())")
    before = await catalog(empty)
    for step in (migrate.upgrade, migrate.downgrade, migrate.upgrade):
        await asyncio.to_thread(step, database)
        assert await catalog(empty) == before
    assert await empty.fetchval("SELECT count(*) FROM sub_accounts") == 1


async def test_orders_of_accounts_that_are_not_there_yet_do_not_stop_the_migration(empty: Any, database: str) -> None:
    await asyncio.to_thread(migrate.upgrade, database, "0007")
    order = "INSERT INTO pending_orders (id, sub_account_id, symbol, side, price, quantity, leverage) VALUES "
    await empty.execute(f"{order} ('o1', 'known to risk alone', 'BTCUSDT', 'LONG', 1, 1, 1)")
    await asyncio.to_thread(migrate.upgrade, database)
    assert await empty.fetchval("SELECT count(*) FROM pending_orders") == 1


async def test_two_accounts_of_one_name_do_not_stop_a_downgrade(empty: Any, database: str) -> None:
    await asyncio.to_thread(migrate.upgrade, database)
    await empty.execute(
        "INSERT INTO pms_risk.accounts (id, name, status, cash, maintenance_rate, liquidation_mode, created_ms,"
        " created_by) SELECT id, 'same', 'ACTIVE', 0, 0, 'ADL_30', 0, '' FROM unnest('{a,b}'::text[]) AS id"
    )
    await asyncio.to_thread(migrate.downgrade, database, "0012")
    assert {row[0] for row in await empty.fetch("SELECT name FROM pms_risk.accounts")} == {"same", "same b"}
