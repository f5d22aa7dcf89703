"""kill -9 anywhere: the same books, no fill booked twice, no reservation lost."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from tests.integration.pms_risk.rig import D, Rig, until

from pms_common.bus import updates_in
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.bus.risk import ChildOrder
from pms_common.contracts.bus.streams import risk_updates
from pms_common.db import connect

TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01, "leverage": 10}


async def all_keys(rig: Rig) -> Counter[str]:
    found: Counter[str] = Counter()
    for _, fields in await rig.redis.xrange(rig.names.updates("risk")):
        for update in map(risk_updates.decode, updates_in(fields)):
            if isinstance(update, PublicEvent):
                found[update.key] += 1
    return found


async def test_r08_a_fill_between_publish_and_commit_is_booked_once(rig: Rig) -> None:
    """R-08: the database is held, fills are applied and told, then kill -9: the replay makes the same books."""
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, **TRADE)
    placed = await rig.order()
    connection = await connect(rig.database)
    await connection.execute("BEGIN")
    await connection.execute("LOCK TABLE pms_risk.fills IN EXCLUSIVE MODE")
    try:
        for quantity in ("0.003", "0.003", "0.004"):
            await rig.fill(placed, "60000", quantity)
        await rig.event("order_filled")
        before = await all_keys(rig)
        await rig.kill()
    finally:
        await connection.execute("ROLLBACK")
        await connection.close()
    assert (await rig.books())["fills"] == []
    await rig.start()
    await rig.committed(3)
    await rig.assert_equal()
    after = await all_keys(rig)
    assert before.keys() == after.keys(), "the replay names the same happenings"
    positions = await rig.rows("SELECT quantity FROM pms_risk.positions WHERE closed_ms IS NULL")
    assert [row["quantity"] for row in positions] == [D("0.01")]


async def test_r08_a_fill_told_again_changes_nothing(rig: Rig) -> None:
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, **TRADE)
    update = await rig.fill(await rig.order(), "60000")
    await rig.committed(1)
    books = await rig.books()
    events = await rig.events()
    await rig.tell(update)
    await rig.kill()
    await rig.start()
    await rig.tell(update)
    await rig.committed(1)
    assert await rig.books() == books
    assert [event for event in await rig.events() if event["type"] != "account_updated"] == [
        event for event in events if event["type"] != "account_updated"
    ]


async def test_executions_lost_from_the_stream_are_booked_after_a_gap_and_after_a_start(rig: Rig) -> None:
    """The order service knows them, Redis has lost their entries: while risk lives, and while it is away."""
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, **TRADE)
    placed = await rig.order()
    await rig.fill(placed, "60000", "0.001")
    await rig.committed(1)
    rig.losing = True
    await rig.fill(placed, "60001", "0.002")
    await rig.fill(placed, "60002", "0.003")
    rig.losing = False
    await rig.fill(placed, "60003", "0.001")
    await rig.committed(4)
    await rig.assert_equal()
    await rig.kill()
    rig.losing = True
    await rig.fill(placed, "60004", "0.003")
    rig.losing = False
    await rig.start()
    await rig.committed(5)
    await rig.assert_equal()
    await rig.event("order_filled")


async def test_books_survive_kills_at_random_moments(rig: Rig) -> None:
    """Two accounts trade against each other while risk is killed again and again."""
    accounts = [await rig.create("one"), await rig.create("two")]
    fills = 0
    for turn in range(4):
        for account, side in zip(accounts, ("BUY", "SELL") if turn % 3 else ("SELL", "BUY"), strict=True):
            seen = len(rig.placed)
            await rig.send("trade", subAccountId=account, **TRADE | {"side": side})
            placed = await rig.order(seen=seen)
            await rig.fill(placed, str(60_000 + 10 * turn), "0.004")
            await rig.fill(placed, str(60_001 + 10 * turn), "0.006")
            fills += 2
        await asyncio.sleep(0.003 * turn)
        await rig.kill()
        await rig.start()
    await rig.committed(fills)
    await rig.assert_equal()


async def test_invariant_5_concurrent_commands_never_exceed_margin(rig: Rig) -> None:
    account = await rig.create("one", 1000)
    limit = {"subAccountId": account, **TRADE, "price": 60000, "quantity": 0.1}
    requests = [await rig.send("limit", **limit, requestId=f"c{number}") for number in range(30)]
    refused = [request for request in requests if await _is_refused(rig, request)]
    await rig.order()
    margin = sum(placed.quantity * D(60000) / 10 for placed in rig.placed)
    assert len(rig.placed) + len(refused) == 30
    assert margin == 600, "one more would need 1200 of 1000"


async def _is_refused(rig: Rig, request_id: str) -> bool:
    """An approved limit order is answered by the order service, so here it has no result."""
    for _ in range(60):
        if await rig.redis.get(rig.names.result(request_id)):
            return (await rig.result(request_id))["errorCode"] == "INSUFFICIENT_MARGIN"
        await asyncio.sleep(0.01)
    return False


async def test_invariant_5_reservations_survive_a_restart(rig: Rig) -> None:
    """One order rests at the exchange, one is approved and not yet taken by the order service."""
    account = await rig.create("one", 1000)
    limit = {"subAccountId": account, **TRADE, "price": 60000}
    await rig.send("limit", **limit | {"quantity": 0.05})
    await rig.rest(await rig.order())
    rig.consume = False
    await asyncio.sleep(0.2)  # a read may still be under way
    await rig.send("limit", **limit | {"quantity": 0.08})
    async with asyncio.timeout(10):
        while await rig.redis.xlen(rig.names.requests("orders")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    free = await rig.ask("validate", subAccountId=account, **TRADE)
    assert free["computedValues"]["availableBalance"] == pytest.approx(1000 - 300 - 480)
    await rig.kill()
    await rig.start()
    free = await rig.ask("validate", subAccountId=account, **TRADE)
    assert free["computedValues"]["availableBalance"] == pytest.approx(1000 - 300 - 480)
    rig.consume = True
    waiting = await rig.order(seen=1)
    await rig.rest(waiting)
    await rig.end(waiting, "cancelled", reason="CANCELED")
    assert (await rig.event("order_cancelled"))["reason"] == "CANCELED"
    free = await rig.ask("validate", subAccountId=account, **TRADE)
    assert free["computedValues"]["availableBalance"] == pytest.approx(700)


async def test_a_close_is_answered_by_the_next_process(rig: Rig) -> None:
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, **TRADE)
    await rig.fill(await rig.order(), "60000")
    position = (await rig.event("position_updated"))["positionId"]
    request = await rig.send("close", positionId=position)
    closing = await rig.order(seen=1)
    await rig.fill(closing, "61000", "0.004")
    await rig.committed(2)
    await rig.kill()
    await rig.start()
    await rig.fill(closing, "61000")
    done = await rig.result(request)
    if done["success"]:  # else the process was longer away than a close waits
        assert done["trade"]["quantity"] == 0.01
        assert done["trade"]["realizedPnl"] == pytest.approx(10 - 0.305)
    else:
        assert done["errorCode"] == "AMBIGUOUS_RESULT"
    assert (await rig.event("position_closed"))["positionId"] == position


async def test_a_close_that_waits_for_a_closer_is_carried_out_by_the_next_process(rig: Rig) -> None:
    """kill -9 while a resting closer gives way, and again while the rest is on its way."""
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, **TRADE)
    await rig.fill(await rig.order(), "60000")
    position = (await rig.event("position_updated"))["positionId"]
    await rig.send("limit", subAccountId=account, **TRADE | {"side": "SELL", "price": 61_000, "quantity": 0.006})
    resting = await rig.order(seen=1)
    await rig.rest(resting)
    await rig.send("close", positionId=position)
    first = await rig.order(seen=2)
    assert first.quantity == D("0.004"), "the position less what may still fill"
    await rig.rest(first)
    await rig.kill()
    await rig.start()
    await until(lambda: resting.client_order_id in rig.cancels)
    await rig.end(resting, "cancelled")
    rest = await rig.order(seen=3)
    assert (rest.quantity, rest.reduce_only) == (D("0.006"), True)
    await rig.rest(rest)
    await rig.kill()
    await rig.start()
    await rig.fill(first, "60500")
    await rig.fill(rest, "60500")
    assert (await rig.event("position_closed"))["positionId"] == position
    await rig.committed(3)
    await rig.assert_equal()


async def test_a_deposit_is_durable_before_it_is_answered(rig: Rig) -> None:
    account = await rig.create("one", 1000)
    connection = await connect(rig.database)
    await connection.execute("BEGIN")
    await connection.execute("LOCK TABLE pms_risk.ledger IN EXCLUSIVE MODE")
    request = await rig.send("account", action="deposit", subAccountId=account, amount=100)
    await asyncio.sleep(0.3)
    assert await rig.redis.get(rig.names.result(request)) is None
    await rig.kill()
    await connection.execute("ROLLBACK")
    await connection.close()
    await rig.start()
    assert (await rig.result(request))["balance"] == 1100
    await rig.assert_equal()


async def test_children_of_algos_are_approved_or_refused(rig: Rig) -> None:
    account = await rig.create("one", 1000)
    child = ChildOrder(
        client_order_id="PMS_one_CHS_1",
        account_id=account,
        parent_id="chase_1",
        symbol="BTCUSDT",
        side="BUY",
        order_type="LIMIT",
        quantity=D("0.01"),
        price=D("60000"),
        time_in_force="GTX",
        leverage=D(10),
        origin="CHASE",
    )
    await rig.redis.xadd(rig.names.requests("risk"), {"data": encode(child)})
    placed = await rig.order()
    assert (placed.client_order_id, placed.parent_id, placed.price_cap) == ("PMS_one_CHS_1", "chase_1", D("61200"))
    assert placed.notional_cap == D("612")
    await rig.redis.xadd(rig.names.requests("risk"), {"data": b'{"t":"child"}'})
    dear = encode(child).replace(b"PMS_one_CHS_1", b"PMS_one_CHS_2").replace(b'"0.01"', b'"9"')
    await rig.redis.xadd(rig.names.requests("risk"), {"data": dear})
    refused = None
    async with asyncio.timeout(10):
        while refused is None:
            for _, fields in await rig.redis.xrange(rig.names.updates("risk")):
                for update in map(risk_updates.decode, updates_in(fields)):
                    refused = update if type(update).__name__ == "ChildRefused" else refused
            await asyncio.sleep(0.01)
    assert refused.client_order_id == "PMS_one_CHS_2"
    assert refused.error_code == "INSUFFICIENT_MARGIN"
    assert await rig.redis.xlen(rig.names.dead) == 1
