"""`pending_orders` of the JS application: our rows in it, in any of its generations, read as Prisma reads them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import NOW, report, trade

from pms_cli import migrate
from pms_common.db import connect
from pms_common.names import Names
from pms_orders.domain.table import Kind

OLD = """
    CREATE TABLE "users" ("id" TEXT NOT NULL, CONSTRAINT "users_pkey" PRIMARY KEY ("id"));
    CREATE TABLE "sub_accounts" ("id" TEXT NOT NULL, CONSTRAINT "sub_accounts_pkey" PRIMARY KEY ("id"));
    CREATE TABLE "pending_orders" (
        "id" TEXT NOT NULL, "sub_account_id" TEXT NOT NULL, "symbol" TEXT NOT NULL, "side" TEXT NOT NULL,
        "type" TEXT NOT NULL DEFAULT 'LIMIT', "price" DOUBLE PRECISION NOT NULL,
        "quantity" DOUBLE PRECISION NOT NULL, "leverage" DOUBLE PRECISION NOT NULL, "exchange_order_id" TEXT,
        "status" TEXT NOT NULL DEFAULT 'PENDING', "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
        "filled_at" TIMESTAMP(3), "cancelled_at" TIMESTAMP(3),
        CONSTRAINT "pending_orders_pkey" PRIMARY KEY ("id"));
    ALTER TABLE "pending_orders" ADD CONSTRAINT "pending_orders_sub_account_id_fkey"
        FOREIGN KEY ("sub_account_id") REFERENCES "sub_accounts"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
    INSERT INTO "sub_accounts" VALUES ('a');
"""
"""The table as the application's first PostgreSQL migration makes it."""
OPEN = (
    'SELECT "public"."pending_orders"."id", "public"."pending_orders"."symbol", "public"."pending_orders"."side",'
    ' "public"."pending_orders"."type", "public"."pending_orders"."price", "public"."pending_orders"."quantity",'
    ' "public"."pending_orders"."exchange_order_id" FROM "public"."pending_orders" WHERE'
    ' ("public"."pending_orders"."sub_account_id" = $1 AND "public"."pending_orders"."status" = $2)'
    ' ORDER BY "public"."pending_orders"."created_at" DESC OFFSET $3'
)
"""What Prisma sends for `pendingOrder.findMany({where: {subAccountId, status}, orderBy: {createdAt: "desc"}})`."""


async def execute(database: str, sql: str) -> None:
    connection = await connect(database)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def rows(rig: Rig, sql: str, *values: Any) -> list[Any]:
    await rig.journal.flush()
    connection = await connect(rig.database)
    try:
        return [tuple(row) for row in await connection.fetch(sql, *values)]
    finally:
        await connection.close()


async def pending(rig: Rig) -> list[Any]:
    return await rows(rig, OPEN, "a", "PENDING", 0)


@pytest.fixture(params=["new", "old"])
async def shared(request: pytest.FixtureRequest, rig: Rig) -> AsyncIterator[Rig]:
    """The service on the newest generation of the table, made by us, and on the oldest, made by Prisma."""
    if request.param == "old":
        await rig.kill()
        await execute(rig.database, "CREATE SCHEMA away; ALTER TABLE pending_orders SET SCHEMA away; " + OLD)
        await rig.start()
    yield rig
    if request.param == "old":
        await execute(
            rig.database,
            "DROP TABLE pending_orders, sub_accounts, users;"
            " ALTER TABLE away.pending_orders SET SCHEMA public; DROP SCHEMA away",
        )
    await execute(rig.database, "DELETE FROM pending_orders")


async def test_a_limit_order_has_a_row_while_it_rests_and_after_its_end(shared: Rig) -> None:
    await shared.accepted(number=7)
    shared.manager.report([report(Kind.NEW)])
    assert await pending(shared) == [("PMS_a_LMT_1", "BTCUSDT", "LONG", "LIMIT", 100.0, 10.0, "7")]
    shared.manager.report([trade(1, "10", "10", Kind.FILLED)])
    assert await pending(shared) == []
    ((status, filled, cancelled),) = await rows(shared, "SELECT status, filled_at, cancelled_at FROM pending_orders")
    assert (status, cancelled) == ("FILLED", None)
    assert filled.replace(tzinfo=UTC) >= datetime.fromtimestamp(NOW // 1000, UTC)


async def test_an_amended_and_cancelled_order_keeps_one_row(shared: Rig) -> None:
    order = await shared.accepted(number=7)
    shared.manager.report([report(Kind.NEW)])
    terms = {"price": order.price and order.price - 1, "quantity": order.quantity}
    shared.manager.report([report(Kind.AMENDED, **terms, event_ms=NOW + 5)])
    assert [row[4] for row in await pending(shared)] == [99.0]
    shared.manager.report([report(Kind.CANCELLED, event_ms=NOW + 6)])
    found = await rows(shared, "SELECT id, status, price, filled_at FROM pending_orders")
    assert found == [("PMS_a_LMT_1", "CANCELLED", 99.0, None)]


async def test_an_order_that_cannot_rest_has_no_row(shared: Rig) -> None:
    await shared.accepted(number=7, time_in_force="IOC")
    shared.manager.report([report(Kind.NEW), trade(1, "10", "10", Kind.FILLED)])
    assert await rows(shared, "SELECT id FROM pending_orders") == []


async def test_an_account_that_js_does_not_know_does_not_stop_the_journal(shared: Rig) -> None:
    has_accounts = (await rows(shared, "SELECT to_regclass('sub_accounts')"))[0][0] is not None
    await shared.accepted("PMS_b_LMT_1", account_id="b")
    shared.manager.report([report(Kind.NEW, client_order_id="PMS_b_LMT_1")])
    assert len(await rows(shared, "SELECT id FROM pending_orders")) == (0 if has_accounts else 1)
    assert await rows(shared, "SELECT status FROM pms_orders.orders") == [("active",)]


async def test_words_of_the_newest_generation(rig: Rig) -> None:
    await rig.accepted(origin="CHASE", parent_id="chase_1", side="SELL")
    rig.manager.report([report(Kind.NEW)])
    found = await rows(rig, "SELECT client_order_id, origin, parent_id, type, side FROM pending_orders")
    assert found == [("PMS_a_LMT_1", "CHASE", "chase_1", "CHASE_LIMIT", "SHORT")]
    await execute(rig.database, "DELETE FROM pending_orders")


async def test_a_table_that_wants_what_is_not_known_is_left_alone(rig: Rig) -> None:
    await rig.kill()
    await execute(rig.database, "ALTER TABLE pending_orders ADD COLUMN desk text NOT NULL")
    await rig.start()
    await rig.accepted()
    rig.manager.report([report(Kind.NEW)])
    assert await rows(rig, "SELECT id FROM pending_orders") == []
    assert await rows(rig, "SELECT status FROM pms_orders.orders") == [("active",)]
    await execute(rig.database, "ALTER TABLE pending_orders DROP COLUMN desk")


@pytest.mark.parametrize(
    ("alter", "restore"),
    [
        ("ADD CONSTRAINT longs CHECK (side = 'SHORT')", "DROP CONSTRAINT longs"),
        ("ALTER COLUMN leverage TYPE date USING NULL", "ALTER COLUMN leverage TYPE double precision USING 1"),
        ("DROP COLUMN leverage", "ADD COLUMN leverage double precision NOT NULL DEFAULT 1"),
    ],
)
async def test_a_table_that_takes_none_of_our_rows_does_not_stop_the_journal(
    rig: Rig, alter: str, restore: str
) -> None:
    await rig.accepted()
    await execute(rig.database, f"ALTER TABLE pending_orders ALTER COLUMN leverage DROP NOT NULL, {alter}")
    try:
        rig.manager.report([report(Kind.NEW)])
        assert await rows(rig, "SELECT id FROM pending_orders") == []
        assert await rows(rig, "SELECT status FROM pms_orders.orders") == [("active",)]
        assert await rows(rig, "SELECT cause FROM pms_orders.transitions ORDER BY n DESC LIMIT 1") == [("active",)]
    finally:
        await execute(rig.database, f"ALTER TABLE pending_orders {restore}")
    rig.manager.report([trade(1, "1", "1"), report(Kind.CANCELLED)])
    assert await rows(rig, "SELECT id, status FROM pending_orders") == [("PMS_a_LMT_1", "CANCELLED")]
    await execute(rig.database, "DELETE FROM pending_orders; ALTER TABLE pending_orders ALTER leverage SET NOT NULL")


async def test_a_prisma_table_is_adopted_as_it_is_and_survives_a_downgrade(database: str, names: Names) -> None:
    columns = (
        "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_name = 'pending_orders' ORDER BY ordinal_position"
    )
    await asyncio.to_thread(migrate.downgrade, database)
    connection = await connect(database)
    try:
        assert await connection.fetchval("SELECT to_regclass('pending_orders')") is None
        await connection.execute(OLD)
        before = await connection.fetch(columns)
        await asyncio.to_thread(migrate.upgrade, database)
        assert await connection.fetch(columns) == before
        await asyncio.to_thread(migrate.downgrade, database)
        assert await connection.fetch(columns) == before
        await connection.execute("DROP TABLE pending_orders, sub_accounts, users")
        await asyncio.to_thread(migrate.upgrade, database)
        assert len(await connection.fetch(columns)) == 16
    finally:
        await connection.close()
