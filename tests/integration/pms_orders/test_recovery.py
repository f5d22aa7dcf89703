"""What a successor makes of what the journal and Redis have."""

from typing import Any

from tests.integration.pms_orders.rig import SERVICE, Rig
from tests.unit.pms_orders.orders import report, trade

from pms_common.clock import now_ms
from pms_common.contracts.bus.orders import CancelOrder
from pms_orders.app.startup import known
from pms_orders.domain.table import Kind

NAME = "PMS_a_LMT_1"


async def successor(rig: Rig) -> Rig:
    await rig.kill()
    return await rig.start()


async def test_r09_an_order_whose_fills_are_missing_at_its_end_is_cleared_up_by_the_successor(rig: Rig) -> None:
    order = await rig.accepted(quantity="5")
    ended = report(Kind.CANCELLED, executed=order.quantity, event_ms=now_ms())
    rig.manager.report([trade(1, "3", "3"), ended])
    await rig.commits.flush()
    assert order.end is not None and not order.whole
    await successor(rig)
    restored = rig.tracker.find(NAME)
    assert restored is not None and not restored.final
    rig.manager.report([trade(2, "2", "5"), report(Kind.FOUND_CANCELLED, executed=order.quantity, event_ms=now_ms())])
    assert restored.status == "cancelled" and restored.whole and len(rig.tracker) == 0


async def test_an_answer_that_did_not_get_out_is_given_by_the_successor(rig: Rig) -> None:
    await rig.accepted(answer=True, request_id="r1", command="limit")
    rig.manager.report([report(Kind.NEW, event_ms=now_ms())])
    await rig.commits.flush()
    await rig.bus.outbox.flush()
    lost: Any = rig.bus.redis
    assert await lost.delete(rig.names.result("r1"))
    await successor(rig)
    answer = await rig.result("r1")
    assert answer["success"] and answer["state"] == "active"


async def test_an_order_without_an_outcome_is_not_answered_at_a_start(rig: Rig) -> None:
    order = await rig.accepted(answer=True, request_id="r1", command="limit")
    order.exchange_order_id, order.wanted_cancel, order.version = None, "requested", 1
    rig.journal.cancel_wanted(order)
    await rig.commits.flush()
    await rig.bus.outbox.flush()
    await rig.bus.redis.delete(rig.names.result("r1"))
    await successor(rig)
    await rig.bus.outbox.flush()
    restored = rig.tracker.find(NAME)
    assert restored is not None and restored.status == "unknown" and restored.wanted_cancel
    assert await rig.bus.redis.get(rig.names.result("r1")) is None


async def test_r03_an_order_cancelled_before_it_came_is_not_sent_by_the_successor_either(rig: Rig) -> None:
    cancel = CancelOrder(client_order_id=NAME, account_id="a", symbol="BTCUSDT")
    await rig.ask(rig.names.urgent(SERVICE), cancel)
    await rig.until(lambda: rig.tracker.buried(NAME, now_ms()))
    await rig.drained()
    await successor(rig)
    await rig.until(lambda: 0 < rig.bus.incarnation.suspect_before_ms < now_ms())  # what comes from here on is new
    await rig.place()
    order = rig.tracker.find(NAME)
    assert order is not None and order.status == "cancelled" and not order.sent_ms


async def test_a_last_row_proves_no_knowledge_of_what_others_did_before_it(rig: Rig) -> None:
    began_ms = now_ms()
    await rig.accepted()
    rig.manager.report([report(Kind.NEW)])
    await rig.journal.flush()
    await rig.kill()
    await rig.start()
    assert rig.known_ms is not None and rig.known_ms >= began_ms, "a first writer has left nothing better"
    await rig.bus.redis.set(known(rig.names), began_ms - 600_000)
    await rig.kill()
    await rig.start()
    assert rig.known_ms == began_ms - 600_000
