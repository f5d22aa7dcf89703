"""The chase in a real process on real Redis and PostgreSQL: command, amends, fills, events, cancel, refusals."""

import asyncio
from decimal import Decimal

import pytest
from tests.integration.pms_algos.conftest import Child, World
from tests.services import ServiceProcess

from pms_common.contracts.bus.common import watch_lease
from pms_common.contracts.bus.risk import ChildOrder

D = Decimal


async def test_a_chase_from_command_to_fill(algos: ServiceProcess, world: World, market: dict[str, float]) -> None:
    algos.start()
    await world.chase("r1", stalkOffsetTicks=2, odd=1)
    result = await world.result("r1")
    assert result["success"] is True, result
    assert {name: result[name] for name in ("symbol", "side", "quantity", "stalkMode")} == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": 1,
        "stalkMode": "none",
    }
    assert (result["currentOrderPrice"], result["initialPrice"], result["bid"], result["ask"]) == (
        99.8,
        100.0,
        100.0,
        100.1,
    )
    assert result["warnings"]
    chase_id = result["chaseId"]
    (child_id,) = world.children
    order = world.children[child_id].order
    assert (order.parent_id, order.origin, order.time_in_force) == (chase_id, "CHASE", "GTC")
    assert "_CHS_" in child_id

    market.update(bid=101.0, ask=101.1)
    await world.until(lambda: world.amends)
    assert (world.amends[0].price, world.amends[0].quantity) == (D("100.8"), D(1))
    await world.fill(child_id, "0.4")
    await world.until(lambda: world.events("chase_progress"))
    shown = await world.client.hgetall(world.names.algos("acc"))
    assert [key.decode() for key in shown] == [chase_id]
    await world.fill(child_id, "0.6")
    await world.until(lambda: world.events("chase_filled"))
    (filled,) = await world.events("chase_filled")
    assert (filled["chaseId"], filled["fillPrice"], filled["filledQty"], filled["repriceCount"]) == (
        chase_id,
        100.8,
        1,
        1,
    )
    assert filled["account"] == {
        "balance": 1000,
        "equity": 1000,
        "marginUsed": 0,
        "availableMargin": 1000,
        "positions": [],
    }
    progress = await world.events("chase_progress")
    assert any(event["filledQty"] == 0.4 and event["clientOrderId"] == child_id for event in progress)
    await world.until(lambda: _gone(world))
    watched = await world.client.xrange(world.names.watch)
    lease = watch_lease.decode(watched[0][1][b"data"])
    assert (lease.owner, lease.symbols) == (f"{world.names.namespace}:algos", ["BTCUSDT"])


async def _gone(world: World) -> bool:
    return not await world.client.exists(world.names.algos("acc"))


async def test_cancel_is_answered_when_it_has_ended_and_again_the_same(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    chase_id = (await world.result("r1"))["chaseId"]
    await world.fill(world.alive[0], "0.25")
    await world.send("chase_cancel", requestId="c0", chaseId=chase_id, subAccountId="other")
    assert (await world.result("c0"))["errorCode"] == "OWNERSHIP_FORBIDDEN"
    await world.send("chase_cancel", requestId="c1", chaseId=chase_id)
    cancelled = await world.result("c1")
    assert (cancelled["success"], cancelled["status"], cancelled["filledQty"]) == (True, "ended", 0.25)
    assert world.alive == []
    (event,) = await world.events("chase_cancelled")
    assert (event["reason"], event["filledQty"]) == ("cancelled", 0.25)
    await world.send("chase_cancel", requestId="c2", chaseId=chase_id, subAccountId="acc")
    assert {**(await world.result("c2")), "requestId": "c1"} == cancelled
    await world.client.delete(world.names.result("c1"))
    await world.send("chase_cancel", requestId="c1", chaseId=chase_id)
    assert await world.result("c1") == cancelled
    await world.send("chase_cancel", requestId="c3", chaseId="chase_none")
    assert (await world.result("c3"))["errorCode"] == "ALGO_NOT_FOUND"
    assert len(await world.events("chase_cancelled")) == 1


async def test_a_move_beyond_the_approval_is_asked_for_and_then_cancelled_and_placed(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    await world.result("r1")
    await world.fill(world.alive[0], "0.25")
    market.update(bid=102.5, ask=102.6)  # 2 % is what an order without a declared range may move
    await world.until(lambda: len(world.children) == 2)
    assert [amend.price for amend in world.beyond] == [D("102.5")]
    second = world.children[world.alive[0]].order
    assert (second.price, second.quantity) == (D("102.5"), D("0.75"))
    assert world.most_alive == 1


async def test_a_refusal_of_the_first_child_is_the_result_and_nothing_was_ever_shown(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    world.refuse = "INSUFFICIENT_MARGIN"
    algos.start()
    await world.chase("r1")
    failed = await world.result("r1")
    assert (failed["success"], failed["errorCode"]) == (False, "INSUFFICIENT_MARGIN")
    await asyncio.sleep(0.2)
    assert await world.events("chase_cancelled") == await world.events("chase_progress") == []
    world.refuse = None
    await world.client.delete(world.names.result("r1"))
    await world.chase("r1")
    assert await world.result("r1") == failed
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": 0.0001}, "FILTER_QUANTITY"),
        ({"quantity": 0.04}, "EXCHANGE_MIN_NOTIONAL"),
        ({"symbol": "NOPEUSDT"}, "SYMBOL_UNKNOWN"),
        ({"replacesId": "chase_x"}, "ALGO_NOT_FOUND"),
        ({"quantity": "NaN"}, "VALIDATION_FAILED"),
        ({"expiresAt": 1_700_000_000_000}, "EXPIRED_COMMAND"),
    ],
)
async def test_bad_commands_are_refused_before_anything_leaves(
    algos: ServiceProcess, world: World, market: dict[str, float], changes: dict[str, object], code: str
) -> None:
    algos.start()
    await world.chase("ok")
    assert (await world.result("ok"))["success"] is True
    await world.chase("bad", **changes)
    refused = await world.result("bad")
    assert (refused["success"], refused["errorCode"]) == (False, code)
    assert len(world.asked) == 1


async def test_without_a_price_nothing_starts(algos: ServiceProcess, world: World) -> None:
    algos.start()
    await world.until(lambda: world._n["risk"] >= 3)
    await asyncio.sleep(0.3)
    await world.chase("r1")
    await world.until(lambda: world.client.xlen(world.names.watch))
    assert (await world.result("r1"))["errorCode"] == "NO_PRICE"
    assert world.asked == []


async def test_a_halt_with_cancel_ends_the_chase_without_risk(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    await world.result("r1")
    await world.client.xadd(world.names.op("trading_state"), {"data": b'{"state":"halted","cancel":true}'})
    await world.until(lambda: world.events("chase_cancelled"))
    assert (await world.events("chase_cancelled"))[0]["reason"] == "risk"
    await world.chase("r2")
    assert (await world.result("r2"))["errorCode"] == "TRADING_HALTED"
    await world.client.xadd(world.names.op("trading_state"), {"data": b'{"state":"reducing"}'})
    await asyncio.sleep(0.2)
    await world.chase("r3")
    assert (await world.result("r3"))["errorCode"] == "TRADING_REDUCING"
    assert len(world.asked) == 1
    await world.chase("r4", reduceOnly=True)
    assert (await world.result("r4"))["success"] is True
    await world.client.xadd(world.names.op("trading_state"), {"data": b'{"state":"active"}'})
    await asyncio.sleep(0.2)
    await world.chase("r5")
    assert (await world.result("r5"))["success"] is True


async def test_a_live_order_of_a_chase_that_nobody_runs_is_cancelled(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    assert (await world.result("r1"))["success"] is True
    ours = world.alive[0]
    orphan = ChildOrder(
        client_order_id="orphan",
        account_id="acc",
        parent_id="chase_gone",
        symbol="BTCUSDT",
        side="BUY",
        order_type="LIMIT",
        quantity=D(1),
        price=D(100),
        leverage=D(5),
        origin="CHASE",
    )
    world.children["orphan"] = Child(orphan, D(100))
    await world.told("orphan", "active")
    await world.until(lambda: not world.children["orphan"].alive)
    assert [cancel.client_order_id for cancel in world.cancels] == ["orphan"]
    assert world.alive == [ours]


async def test_a_child_that_ended_in_a_gap_is_found_by_the_snapshot_and_followed_by_the_remainder(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    await world.result("r1")
    first = world.children[world.alive[0]]
    first.executed, first.state, first.version = D("0.4"), "cancelled", 2
    world._n["orders"] += 2  # its end was told and lost
    other = Child(first.order, D(100))
    world.children["another"] = other
    await world.told("another", "active")
    await world.until(lambda: len(world.children) == 3)
    del world.children["another"]
    assert world.children[world.alive[0]].order.quantity == D("0.6")


async def test_garbage_on_any_stream_ends_in_dead_and_nothing_else_stops(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    names = world.names
    garbage = [
        names.cmd("chase"),
        names.cmd("chase_cancel"),
        names.queries("algos"),
        names.updates("orders"),
        names.updates("risk"),
    ]
    for stream in garbage:
        await world.client.xadd(stream, {"data": b"\xff{"})
    await world.chase("r1")
    assert (await world.result("r1"))["success"] is True
    await world.client.xadd(names.ticks, {"data": b"\xff{"})  # older ticks are skipped, garbage or not
    await world.until(lambda: _dead(world, len(garbage) + 1))


async def _dead(world: World, count: int) -> bool:
    return bool(await world.client.xlen(world.names.dead) >= count)


async def test_paused_it_has_no_order_and_resumed_it_goes_on_for_the_remainder(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    chase_id = (await world.result("r1"))["chaseId"]
    await world.fill(world.alive[0], "0.4")
    for request in ("p1", "p2"):
        await world.send("chase_pause", requestId=request, chaseId=chase_id)
        assert (await world.result(request))["status"] == "paused"
    await world.until(lambda: not world.alive)
    algos.kill()
    algos.start()
    await world.until(lambda: world.lookups == 2)
    await asyncio.sleep(0.5)
    assert world.alive == []
    for request in ("u1", "u2"):
        await world.send("chase_resume", requestId=request, chaseId=chase_id)
        assert (await world.result(request))["status"] == "active"
    await world.until(lambda: world.alive)
    assert [world.children[name].order.quantity for name in world.alive] == [D("0.6")]


async def test_an_edit_ends_the_old_one_before_the_new_one_asks(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    old = (await world.result("r1"))["chaseId"]
    await world.chase("r2", quantity=2, replacesId=old)
    assert (await world.result("r2"))["success"] is True
    assert [world.children[name].order.quantity for name in world.alive] == [D(2)]
    assert world.most_alive == 1
    assert [event["chaseId"] for event in await world.events("chase_cancelled")] == [old]


async def test_risk_pauses_resumes_and_stops_the_algos_of_an_account(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    chase_id = (await world.result("r1"))["chaseId"]
    await world.control("pause", "t1", symbol="BTCUSDT")
    await world.until(lambda: world.controlled("t1"))
    assert await world.controlled("t1") == [(chase_id,)]
    await world.until(lambda: not world.alive)
    await world.send("chase_resume", requestId="u1", chaseId=chase_id)
    assert (await world.result("u1"))["errorCode"] == "TRADING_REDUCING"
    await world.control("resume", "t2", symbol="ETHUSDT")
    await world.until(lambda: world.controlled("t2"))
    assert await world.controlled("t2") == [()]
    assert world.alive == []
    await world.control("resume", "t3", symbol="BTCUSDT")
    await world.until(lambda: world.alive)
    await world.control("stop", "t4")
    await world.until(lambda: world.events("chase_cancelled"))
    assert (await world.events("chase_cancelled"))[0]["reason"] == "risk"


async def test_a_frozen_account_waits_and_a_liquidated_one_ends(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    await world.chase("r1")
    await world.chase("r2", reduceOnly=True)
    await world.result("r1")
    await world.result("r2")
    opening, closing = world.alive
    await world.account_is("FROZEN")
    await world.until(lambda: world.alive == [closing])
    await world.account_is("ACTIVE")
    await world.until(lambda: len(world.alive) == 2)
    assert opening not in world.alive
    await world.account_is("LIQUIDATED")
    await world.until(lambda: world.alive == [])
    await world.until(lambda: _count(world, "chase_cancelled", 2))


async def _count(world: World, type_: str, count: int) -> bool:
    return len(await world.events(type_)) == count
