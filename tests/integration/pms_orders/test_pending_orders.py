"""`pending_orders` of the JS application: our rows in it, in any of its generations, read as Prisma reads them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests import prisma
from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import NOW, report, trade

from pms_common.db import connect
from pms_orders.domain.table import Kind

ACCOUNT = (
    "INSERT INTO sub_accounts (id, name, initial_balance, current_balance, updated_at) VALUES ('a', '', 0, 0, now())"
)
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


@pytest.fixture(autouse=True)
async def _account(rig: Rig) -> AsyncIterator[None]:
    """The account of the orders: rows of others are not written."""
    await execute(rig.database, ACCOUNT)
    yield
    await execute(rig.database, "TRUNCATE sub_accounts CASCADE")


@pytest.fixture(params=["new", "old"])
async def shared(request: pytest.FixtureRequest, rig: Rig) -> AsyncIterator[Rig]:
    """The service on the newest generation of the table, made by us, and on the oldest, made by Prisma."""
    if request.param == "new":
        yield rig
        return
    away = "; ".join(f"ALTER TABLE {table} SET SCHEMA away" for table in prisma.TABLES)
    back = "; ".join(
        f"DROP TABLE {table} CASCADE; ALTER TABLE away.{table} SET SCHEMA public" for table in prisma.TABLES
    )
    await rig.kill()
    await execute(rig.database, f"CREATE SCHEMA away; {away}; {prisma.tables('first')}; {ACCOUNT}")
    await rig.start()
    yield rig
    await execute(rig.database, f"{back}; DROP SCHEMA away")


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
    await shared.accepted("PMS_b_LMT_1", account_id="b")
    shared.manager.report([report(Kind.NEW, client_order_id="PMS_b_LMT_1")])
    assert await rows(shared, "SELECT id FROM pending_orders") == []
    assert await rows(shared, "SELECT status FROM pms_orders.orders") == [("active",)]


async def test_words_of_the_newest_generation(rig: Rig) -> None:
    await rig.accepted(origin="CHASE", parent_id="chase_1", side="SELL")
    rig.manager.report([report(Kind.NEW)])
    found = await rows(rig, "SELECT client_order_id, origin, parent_id, type, side FROM pending_orders")
    assert found == [("PMS_a_LMT_1", "CHASE", "chase_1", "CHASE_LIMIT", "SHORT")]


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
    await execute(rig.database, "ALTER TABLE pending_orders ALTER leverage SET NOT NULL")
