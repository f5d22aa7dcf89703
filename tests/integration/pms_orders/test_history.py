"""The history of a real run makes the same orders; what is old is removed, and only that."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import DBAPIError
from tests.integration.pms_orders.desk import Desk
from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import NOW, report, trade

from pms_common.clock import now_ms
from pms_common.db import DAY_MS, Retention, connect, create_engine
from pms_orders.adapters.months import HISTORIES, Months
from pms_orders.adapters.replay import replay
from pms_orders.adapters.retention import remove_orders
from pms_orders.domain.table import Kind

TABLES = ("orders", "fills", "transitions", "answers")


async def counts(database: str) -> dict[str, Any]:
    connection = await connect(database)
    try:
        return {table: await connection.fetchval(f"SELECT count(*) FROM pms_orders.{table}") for table in TABLES}
    finally:
        await connection.close()


async def test_a_run_against_the_exchange_is_rebuilt_from_its_history(desk: Desk) -> None:
    resting = await desk.place("rests")
    await desk.until_state(resting, "active")
    await desk.amend(resting, "59000.0")
    await desk.until_cause(resting, "amended")
    gone = await desk.place("cancelled")
    await desk.until_state(gone, "active")
    await desk.cancel(gone)
    await desk.until_state(gone, "cancelled")
    filled = await desk.place("filled", order_type="MARKET")
    await desk.until_state(filled, "filled")
    refused = await desk.place("refused", quantity="0.0001")
    await desk.until_state(refused, "failed")
    await desk.drained()
    await desk.kill()
    await desk.start()
    await desk.cancel(resting)
    await desk.until_state(resting, "cancelled")
    await desk.drained()
    engine = create_engine(desk.database)
    try:
        found = await replay(engine, 0, now_ms() + DAY_MS)
        assert (found.orders, found.differing) == (4, {}) and found.transitions >= 7 and found.fills >= 1
        connection = await connect(desk.database)
        await connection.execute("UPDATE pms_orders.orders SET status = 'active' WHERE status = 'filled'")
        await connection.close()
        found = await replay(engine, 0, now_ms() + DAY_MS)
        assert found.differing == {filled.client_order_id: ["status: active, by its history filled"]}
        assert (await replay(engine, now_ms() + DAY_MS, now_ms() + 2 * DAY_MS)).orders == 0
    finally:
        await engine.dispose()


async def five_orders(rig: Rig) -> None:
    """Four that are filled, and a fifth that rests."""
    for number in range(1, 6):
        name = f"PMS_a_LMT_{number}"
        await rig.accepted(name, number)
        who = {"client_order_id": name, "exchange_order_id": number}
        rig.manager.report([report(Kind.NEW, **who)])
        if number < 5:
            fill(rig, number)
    await rig.journal.flush()


def fill(rig: Rig, number: int) -> None:
    done = trade(number, "10", "10", Kind.FILLED)
    done.client_order_id, done.exchange_order_id = f"PMS_a_LMT_{number}", number
    rig.manager.report([done])


async def partitions(database: str, history: str) -> dict[str, int]:
    """When each ends."""
    connection = await connect(database)
    try:
        found = await connection.fetch("SELECT * FROM pms_orders.months WHERE history = $1", history)
        return {row["part"]: row["until_ms"] for row in found}
    finally:
        await connection.close()


async def test_only_what_ended_long_ago_is_removed_with_its_executions(rig: Rig) -> None:
    await five_orders(rig)
    before = await counts(rig.database)
    assert before["orders"] == 5
    ended_ms = max(order.updated_ms for order in [rig.tracker.find("PMS_a_LMT_1")] if order)
    young = Retention(rig.engine, 90, lambda: ended_ms + 90 * DAY_MS, remove_orders)
    assert await young.sweep() == 0 and await counts(rig.database) == before
    old = Retention(rig.engine, 90, lambda: now_ms() + 91 * DAY_MS, remove_orders)
    assert await old.sweep(batch=2, pause_s=0) == 4
    left = await counts(rig.database)
    assert left == before | {"orders": 1, "fills": 0}
    assert now_ms() > NOW and (await replay(rig.engine, 0, now_ms())).differing == {}


async def test_a_month_is_dropped_when_no_order_is_left_that_was_made_before_its_end(rig: Rig) -> None:
    await five_orders(rig)
    late_ms = max((await partitions(rig.database, "transitions")).values()) + 91 * DAY_MS
    retention, months = (
        Retention(rig.engine, 90, lambda: late_ms, remove_orders),
        Months(rig.engine, 90, lambda: late_ms),
    )
    assert await retention.sweep() == 4
    await months.look()
    kept = await counts(rig.database)
    assert kept["transitions"] == 9, "the fifth order rests, and its history begins in that month"
    fill(rig, 5)
    await rig.journal.flush()
    await retention.sweep()
    await months.look()
    assert await counts(rig.database) == {"orders": 0, "fills": 0, "transitions": 0, "answers": 0}
    for history in HISTORIES:
        ends = sorted((await partitions(rig.database, history)).values())
        assert ends[0] > late_ms - 90 * DAY_MS and ends[-1] >= late_ms + 31 * DAY_MS
        assert all(28 <= (after - end) / DAY_MS <= 31 for end, after in pairwise(ends))
        assert all(datetime.fromtimestamp(end / 1000, UTC).strftime("%d %H:%M:%S") == "01 00:00:00" for end in ends)


async def test_what_was_journalled_before_its_month_was_made_comes_into_it(rig: Rig) -> None:
    until_ms = max((await partitions(rig.database, "transitions")).values())
    rig.journal._clock_ms = lambda: until_ms + 5 * DAY_MS
    await five_orders(rig)
    connection = await connect(rig.database)
    try:
        rows = await connection.fetch("SELECT * FROM pms_orders.transitions ORDER BY n")
        assert rows == await connection.fetch("SELECT * FROM pms_orders.transitions_other ORDER BY n") != []
        await Months(rig.engine, 0, lambda: until_ms).look()
        assert await connection.fetchval("SELECT count(*) FROM pms_orders.transitions_other") == 0
        assert rows == await connection.fetch("SELECT * FROM pms_orders.transitions ORDER BY n")
        month = datetime.fromtimestamp(until_ms / 1000, UTC).strftime("transitions_%Y_%m")
        assert rows == await connection.fetch(f"SELECT * FROM pms_orders.{month} ORDER BY n")
        for table in ("transitions", month):
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                await connection.execute(f"DELETE FROM pms_orders.{table}")
    finally:
        await connection.close()
    assert (await replay(rig.engine, 0, now_ms())).differing == {}


async def test_months_are_made_beside_a_transaction_that_writes_and_dropped_after_it(rig: Rig) -> None:
    """A journal never waits longer than half a second for them, however long another's transaction holds the table."""
    await five_orders(rig)
    before = await partitions(rig.database, "transitions")
    late_ms = max(before.values()) + 91 * DAY_MS
    await Retention(rig.engine, 0, lambda: late_ms, remove_orders).sweep()
    fill(rig, 5)
    await rig.journal.flush()
    await Retention(rig.engine, 0, lambda: late_ms, remove_orders).sweep()
    months = Months(rig.engine, 90, lambda: late_ms)
    holder = await connect(rig.database)
    try:
        async with holder.transaction():
            await holder.execute("INSERT INTO pms_orders.transitions SELECT * FROM pms_orders.transitions WHERE false")
            with pytest.raises(DBAPIError, match="lock timeout"):
                await months.look()
            meanwhile = await partitions(rig.database, "transitions")
            assert before.keys() <= meanwhile.keys() and max(meanwhile.values()) > late_ms
        await months.look()
        assert not before.keys() & (await partitions(rig.database, "transitions")).keys()
    finally:
        await holder.close()


async def test_many_rows_without_a_month_do_not_keep_the_journal_waiting(rig: Rig) -> None:
    """To move them takes a lock; what is not done in 3 s is given up, long before the journal is 5 s behind. And the
    alarm comes nearer although the months could be looked at."""
    until_ms = max((await partitions(rig.database, "transitions")).values())
    at_ms = until_ms - 40 * DAY_MS
    months = Months(rig.engine, 0, lambda: at_ms)
    await months.look()
    assert REGISTRY.get_sample_value("pms_history_months_ahead_seconds") == 40 * 86_400
    at_ms = until_ms
    rig.journal._clock_ms = lambda: until_ms
    connection = await connect(rig.database)
    try:
        await connection.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;"
            "CREATE TRIGGER slow BEFORE DELETE ON pms_orders.transitions_other EXECUTE FUNCTION slow()"
        )
        with pytest.raises(DBAPIError, match="statement timeout"):
            await months.look()
        assert REGISTRY.get_sample_value("pms_history_months_ahead_seconds") == 0
        await five_orders(rig)
        assert await connection.fetchval("SELECT count(*) FROM pms_orders.transitions_other") > 0
    finally:
        await connection.close()


async def test_whether_a_month_may_go_is_known_without_reading_all_orders(rig: Rig) -> None:
    connection = await connect(rig.database)
    try:
        await connection.execute("SET enable_seqscan = off")
        plan = await connection.fetch("EXPLAIN SELECT FROM pms_orders.orders WHERE created_ms < 1")
        assert "orders_created" in str(plan)
    finally:
        await connection.close()
