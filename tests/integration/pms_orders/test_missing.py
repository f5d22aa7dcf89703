"""Orders whose executions the exchange never lists: the alarm, and the way out that docs/operations.md shows."""

import re
from pathlib import Path

from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import report, trade

from pms_cli.health.orders import examine_orders
from pms_common.clock import now_ms
from pms_common.db import connect
from pms_orders.app.missing import ALARM_AFTER_MS, MissingExecutions, alarms
from pms_orders.domain.order import OrderState
from pms_orders.domain.table import Kind

NAME = "PMS_a_LMT_1"
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


async def ended_without_a_trade(rig: Rig) -> OrderState:
    """An order of 5 of which 3 are known, and all are executed."""
    order = await rig.accepted(quantity="5")
    rig.manager.report([trade(1, "3", "3"), report(Kind.FOUND_FILLED, executed=order.quantity, event_ms=now_ms())])
    assert order.end is not None and not order.final
    return order


async def test_executions_that_are_not_listed_are_an_alarm_until_they_are(rig: Rig) -> None:
    key = alarms(rig.names)
    await rig.bus.redis.hset(key, "PMS_b_LMT_1", "of a predecessor")
    missing = MissingExecutions(rig.bus.outbox, key)
    order = await ended_without_a_trade(rig)
    for age_ms in (1_000, 1_000 + ALARM_AFTER_MS - 1):
        missing.look([order], age_ms)
    await rig.bus.outbox.flush()
    assert await examine_orders(rig.redis_url, rig.names) == []
    for age_ms in (1_000 + ALARM_AFTER_MS, 2_000 + ALARM_AFTER_MS):
        missing.look([order], age_ms)
    await rig.bus.outbox.flush()
    (finding,) = await examine_orders(rig.redis_url, rig.names)
    assert finding.what == f"order {NAME}"
    assert finding.detail == "BTCUSDT order 7: filled, 2 of 5 executed without a trade"
    rig.manager.report([trade(2, "2", "5", Kind.FILLED)])
    missing.look([order], 3_000 + ALARM_AFTER_MS)
    await rig.bus.outbox.flush()
    assert order.status == "filled" and await examine_orders(rig.redis_url, rig.names) == []


def documented(**values: str) -> str:
    """The statement of the documentation, with its capitals filled in."""
    (statement,) = re.findall(r"    INSERT INTO pms_orders\.fills .*?;\n", OPERATIONS.read_text("utf-8"), re.DOTALL)
    return re.sub(r"\b([A-Z][A-Z_]+)\b", lambda word: values.get(word[1], word[1]), statement)


async def test_what_a_person_enters_as_documented_is_told_and_ends_the_order(rig: Rig) -> None:
    await ended_without_a_trade(rig)
    await rig.journal.flush()
    await rig.kill()
    connection = await connect(rig.database)
    money = {"PRICE": "100.5", "QUANTITY": "2", "COMMISSION": "0.04", "REALIZED_PNL": "-1.25", "MAKER": "false"}
    await connection.execute(documented(TRADE_ID="2", TRADE_MS=str(now_ms()), CLIENT_ORDER_ID=NAME, **money))
    await connection.close()
    await rig.start()
    order = rig.tracker.find(NAME)
    assert order is not None and order.whole and order.trades == {1, 2}
    rig.manager.report([report(Kind.FOUND_FILLED, executed=order.quantity, event_ms=now_ms())])
    assert order.final and order.status == "filled"
    (entered,) = [update.fill for update in await rig.told_of(NAME) if update.fill and update.fill.trade_id == 2]
    assert (str(entered.price), str(entered.commission), str(entered.realized_pnl)) == ("100.5", "0.04", "-1.25")
