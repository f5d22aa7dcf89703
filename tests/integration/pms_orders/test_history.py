"""The history of a real run makes the same orders; what is old is removed, and only that."""

from typing import Any

from tests.integration.pms_orders.desk import Desk
from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import NOW, report, trade

from pms_common.clock import now_ms
from pms_common.db import connect, create_engine
from pms_orders.adapters.replay import replay
from pms_orders.adapters.retention import DAY_MS, Retention
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


async def test_only_what_ended_long_ago_is_removed_with_all_that_belongs_to_it(rig: Rig) -> None:
    for number in range(1, 6):
        name = f"PMS_a_LMT_{number}"
        await rig.accepted(name, number)
        who = {"client_order_id": name, "exchange_order_id": number}
        rig.manager.report([report(Kind.NEW, **who)])
        if number < 5:
            done = trade(number, "10", "10", Kind.FILLED)
            done.client_order_id, done.exchange_order_id = name, number
            rig.manager.report([done])
    await rig.journal.flush()
    before = await counts(rig.database)
    assert before["orders"] == 5
    ended_ms = max(order.updated_ms for order in [rig.tracker.find("PMS_a_LMT_1")] if order)
    young = Retention(rig.engine, 90, lambda: ended_ms + 90 * DAY_MS)
    assert await young.sweep() == 0 and await counts(rig.database) == before
    old = Retention(rig.engine, 90, lambda: now_ms() + 91 * DAY_MS)
    assert await old.sweep(batch=2, pause_s=0) == 4
    left = await counts(rig.database)
    assert left == {"orders": 1, "fills": 0, "transitions": 1, "answers": 1}
    assert now_ms() > NOW and (await replay(rig.engine, 0, now_ms())).differing == {}
