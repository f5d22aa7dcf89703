"""What is told again: to who asks, and to a Redis that may have lost it."""

import asyncio
from collections import Counter
from typing import Any

import msgspec
from tests.integration.pms_orders.rig import SERVICE, Rig
from tests.unit.pms_orders.orders import NOW, report, trade

from pms_common.clock import now_ms
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, SnapshotRequest
from pms_common.contracts.bus.orders import OrderUpdate
from pms_common.db import create_engine
from pms_orders.adapters.recall import REPEAT_MS
from pms_orders.app.retelling import CHUNK, FLUSH_WITHIN_S
from pms_orders.app.snapshots import ORDERS
from pms_orders.domain.order import register
from pms_orders.domain.table import Kind


def fills(told: list[Any]) -> Counter[str]:
    return Counter(update.key for update in told if isinstance(update, OrderUpdate) and update.fill is not None)


async def ended(rig: Rig, token: str) -> bool:
    return any(isinstance(update, SnapshotEnd) and update.token == token for update in await rig.told())


async def ask(rig: Rig, token: str, fills_since_ms: int | None = None, **more: Any) -> None:
    question = SnapshotRequest(asker="risk", token=token, fills_since_ms=fills_since_ms, **more)
    await rig.ask(rig.names.queries(SERVICE), question)
    async with asyncio.timeout(5):
        while not await ended(rig, token):  # noqa: ASYNC110 (Redis is asked)
            await asyncio.sleep(0.01)


async def fill(rig: Rig, trades: int) -> None:
    """One order that ends filled in so many trades."""
    await rig.accepted(quantity=str(trades))
    for number in range(1, trades + 1):
        kind = Kind.FILLED if number == trades else Kind.TRADE
        rig.manager.report([trade(number, "1", str(number), kind)])


async def test_r08_fills_that_redis_has_lost_are_told_again_to_who_asks(rig: Rig) -> None:
    trades = CHUNK * 2 + 1
    await fill(rig, trades)
    before = fills(await rig.told())
    assert len(before) == trades
    await rig.bus.redis.delete(rig.names.updates(SERVICE))  # as if Redis had lost its last second
    await ask(rig, "one", now_ms() - 60_000)  # they were traded long before: what counts is when they were heard of
    told = await rig.told()
    assert fills(told) == before
    assert isinstance(told[-1], SnapshotEnd)
    assert {update.order.state for update in told if isinstance(update, OrderUpdate)} == {"filled"}
    await ask(rig, "two", now_ms() + 60_000)
    assert fills(await rig.told()) == before
    await rig.drained()


async def test_fills_of_orders_that_are_forgotten_here_are_told_from_the_journal(rig: Rig) -> None:
    await fill(rig, 2)
    before = fills(await rig.told())
    rig.tracker._ended.clear()
    await rig.bus.redis.delete(rig.names.updates(SERVICE))
    await ask(rig, "one", 0)
    told = [update for update in await rig.told() if isinstance(update, OrderUpdate)]
    assert fills(told) == before and {update.order.executed_quantity for update in told} == {2}


async def test_who_doubts_a_symbol_has_the_exchange_asked_before_the_end(rig: Rig) -> None:
    await ask(rig, "one", compare=("BTCUSDT",), compare_since_ms=7)
    assert rig.compared == [(("BTCUSDT",), 7)] and rig.vain == [7], "of cash flows nothing is kept here"


async def test_who_doubts_a_symbol_is_told_its_executions_again_and_no_others(rig: Rig) -> None:
    await fill(rig, 2)
    before = fills(await rig.told())
    await ask(rig, "one", compare=("ETHUSDT",), compare_since_ms=0)
    assert fills(await rig.told()) == before
    await ask(rig, "two", compare=("BTCUSDT",), compare_since_ms=0)
    assert fills(await rig.told()) == before + before


async def test_what_was_missed_is_told_while_the_exchange_cannot_be_asked(rig: Rig) -> None:
    await fill(rig, 1)
    before = fills(await rig.told())
    rig.venue_down = True
    await ask(rig, "one", fills_since_ms=0, compare=("BTCUSDT",), compare_since_ms=0)
    assert fills(await rig.told()) == before + before + before and rig.vain == [0, 0]


async def test_a_snapshot_has_no_end_while_the_journal_cannot_be_read(rig: Rig) -> None:
    rig.retelling._engine = create_engine("postgresql://n@127.0.0.1:9/n")
    question = SnapshotRequest(asker="risk", token="one", fills_since_ms=0)
    await rig.ask(rig.names.queries(SERVICE), question)
    async with asyncio.timeout(5):
        while not any(isinstance(update, SnapshotBegin) for update in await rig.told()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await rig.drained()
    assert not await ended(rig, "one")
    await ask(rig, "two")


async def test_an_old_question_is_acknowledged_without_an_answer(rig: Rig) -> None:
    old: Any = encode(SnapshotRequest(asker="risk", token="old"))
    await rig.bus.redis.xadd(rig.names.queries(SERVICE), {"data": old}, id=f"{now_ms() - 20_000}-0")
    await ask(rig, "new")
    await rig.drained()
    assert not await ended(rig, "old")


async def test_a_snapshot_of_many_orders_lets_others_in(rig: Rig) -> None:
    order = await rig.accepted()
    for number in range(3_000):
        name = f"PMS_a_LMT_x{number}"
        rig.tracker.add(register(msgspec.structs.replace(order.place, client_order_id=name), NOW))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    working = asyncio.create_task(others())
    await rig.snapshots._tell(SnapshotRequest(asker="risk", token="one"))
    working.cancel()
    assert turns >= 3_000 // ORDERS - 1
    updates = [update for update in await rig.told() if isinstance(update, OrderUpdate) and update.cause == "snapshot"]
    assert len(updates) == 3_001


async def test_another_incarnation_of_redis_is_told_everything_of_late(rig: Rig) -> None:
    await rig.accepted("PMS_a_LMT_2", 8)
    now = now_ms()
    rig.manager.report([report(Kind.NEW, client_order_id="PMS_a_LMT_2", exchange_order_id=8, event_ms=now)])
    await rig.accepted("PMS_a_LMT_1", 7, quantity="1")
    execution = trade(1, "1", "1", Kind.FILLED)
    assert execution.fill is not None
    execution.event_ms, execution.fill = now, msgspec.structs.replace(execution.fill, trade_ms=now)
    rig.manager.report([execution])
    before = {update.key for update in await rig.told() if isinstance(update, OrderUpdate)}
    rig.spawn(rig.retelling.run(), "retelling")
    await asyncio.sleep(0.1)
    await rig.bus.redis.delete(rig.names.updates(SERVICE))
    rig.incarnation = "second"
    async with asyncio.timeout(FLUSH_WITHIN_S):
        while not any(isinstance(update, OrderUpdate) for update in await rig.told()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        while not rig.lost:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    told = {update.key for update in await rig.told() if isinstance(update, OrderUpdate)}
    assert told == {"BTCUSDT:7:1", "PMS_a_LMT_2:active"} and told <= before
    assert now - REPEAT_MS - 5_000 < rig.lost[0] <= now_ms() - REPEAT_MS
