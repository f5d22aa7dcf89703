"""What a successor makes of what the journal and Redis have."""

import itertools
from typing import Any

import msgspec
import pytest
from tests.integration.pms_orders.rig import SERVICE, Rig
from tests.integration.pms_orders.test_journal import rows
from tests.unit.pms_orders.orders import report, trade

from pms_common.clock import now_ms
from pms_common.contracts.bus.base import FINAL_STATES, encode
from pms_common.contracts.bus.orders import CancelOrder, OrderUpdate
from pms_orders.adapters.replay import replay
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


def goes_back(told: list[OrderUpdate]) -> list[str]:
    """Where a reader would see an order move backwards."""
    pairs = [(before.order, after.order) for before, after in itertools.pairwise(told)]
    return [
        f"{before.state} {before.executed_quantity} {before.version}, then {after.state} {after.executed_quantity}"
        f" {after.version}"
        for before, after in pairs
        if after.executed_quantity < before.executed_quantity
        or after.version < before.version
        or (before.state in FINAL_STATES and after.state not in FINAL_STATES)
    ]


@pytest.mark.parametrize("registered", [True, False], ids=["journalled-before", "never-journalled"])
@pytest.mark.parametrize("filled", [True, False], ids=["filled", "partly"])
async def test_invariant_2_a_successor_never_tells_less_than_was_told(rig: Rig, registered: bool, filled: bool) -> None:
    """The writer dies after Redis has heard of executions, and before the journal has."""
    began_ms = now_ms()
    if not registered:
        rig.writing.cancel()
    order = await rig.accepted(quantity="5", answer=True, request_id="r1", command="limit")
    if registered:
        await rig.journal.flush()
        rig.writing.cancel()
    last = trade(2, "2", "5", Kind.FILLED) if filled else trade(2, "1", "4")
    rig.manager.report([report(Kind.NEW, event_ms=began_ms), trade(1, "3", "3"), last])
    executed, version = order.executed, order.version
    await rig.bus.outbox.flush()
    await successor(rig)
    await rig.until(lambda: rig.tracker.find(NAME) is not None)
    restored = rig.tracker.find(NAME)
    assert restored is not None and (restored.executed, restored.booked) == (executed, executed)
    assert restored.final is filled and restored.version >= version and restored.trades == {1, 2}
    await rig.drained()
    assert not goes_back(await rig.told_of(NAME))
    assert (await rig.result("r1"))["success"]
    fills = await rows(rig, "SELECT trade_id FROM pms_orders.fills ORDER BY trade_id")
    kept = await rows(rig, "SELECT status, executed_quantity, version FROM pms_orders.orders")
    assert fills == [(1,), (2,)] and kept == [(restored.status, executed, restored.version)]
    assert not (await replay(rig.engine, 0, now_ms() + 1)).differing


async def test_invariant_2_what_a_superseded_writer_told_after_its_successor_is_not_taken_over(rig: Rig) -> None:
    await rig.accepted(quantity="5")
    await rig.journal.flush()
    stream, name = rig.names.updates(SERVICE), {"key": f"{NAME}:cancelled", "cause": "cancelled", "event_ms": 1}
    rig.writing.cancel()
    rig.manager.report([report(Kind.NEW, event_ms=now_ms())])
    await rig.bus.outbox.flush()
    heard = (await rig.told_of(NAME))[-1]
    after = msgspec.structs.replace(heard.order, state="cancelled", version=heard.order.version + 1)
    late = OrderUpdate(epoch=heard.epoch - 1, n=99, order=after, **name)
    await rig.bus.redis.xadd(stream, {"data": encode(late)})
    await successor(rig)
    restored = rig.tracker.find(NAME)
    assert restored is not None and restored.status == "active"
