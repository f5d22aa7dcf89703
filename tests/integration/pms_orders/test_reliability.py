"""R-01 to R-15 and R-24 on the running simulator: whatever happens, one order, each fill once, the truth in the end."""

import asyncio
import json
import time
from collections import Counter
from decimal import Decimal

import pytest
from tests.integration.pms_orders.desk import ACCOUNT, Desk, place_order

from pms_common.contracts.bus.orders import OrderUpdate

PLACE = "order.place"
UNKNOWN = {"http": 408, "code": -1007, "msg": "Timeout waiting for response from backend server."}


async def exchange_orders(desk: Desk, name: str) -> int:
    account = next(iter((await desk.sim.get("/sim/state"))["accounts"].values()))
    return sum(order["clientOrderId"] == name for order in account["orders"])


def fills_told(desk: Desk) -> Counter[str]:
    updates = [update for update in desk.updates if isinstance(update, OrderUpdate) and update.fill is not None]
    return Counter(update.key for update in updates)


async def test_r01_a_lost_answer_makes_no_second_order(desk: Desk) -> None:
    await desk.sim.fault("drop_response", operation=PLACE, count=1)
    order = await desk.place("r1", answer=True)
    await desk.until_state(order, "active")
    assert (await desk.result("r1"))["success"]
    await asyncio.sleep(4)  # past the time at which the answer is given up
    assert desk.state(order) == "active"
    assert await desk.sim.placements(order.client_order_id) == 1
    await desk.drained()


async def test_r01_an_unknown_outcome_is_asked_for_and_not_sent_again(desk: Desk) -> None:
    await desk.sim.fault("error", operation=PLACE, count=1, **UNKNOWN)
    order = await desk.place("r1", answer=True)
    await desk.until_state(order, "unknown")
    await desk.until_state(order, "failed")
    result = await desk.result("r1")
    assert not result["success"] and result["errorCode"] == "EXCHANGE_UNAVAILABLE"
    assert await desk.sim.placements(order.client_order_id) == 1
    assert await exchange_orders(desk, order.client_order_id) == 0
    await desk.drained()


async def test_r02_an_error_for_an_order_that_was_executed_does_not_hide_it(desk: Desk) -> None:
    await desk.sim.fault("error", operation=PLACE, count=1, executed=True, **UNKNOWN)
    order = await desk.place("r1", order_type="MARKET", answer=True)
    await desk.until_state(order, "filled")
    assert await desk.sim.placements(order.client_order_id) == 1
    assert (await desk.result("r1"))["success"]


async def test_what_is_proven_not_executed_is_sent_again_under_the_same_id(desk: Desk) -> None:
    await desk.sim.fault("error", operation=PLACE, count=2, http=503, code=-1008, msg="Request throttled")
    order = await desk.place("r1", answer=True)
    await desk.until_state(order, "active")
    assert await desk.sim.placements(order.client_order_id) == 3
    assert await exchange_orders(desk, order.client_order_id) == 1


async def test_r01_a_dropped_socket_leaves_every_order_in_flight_clear_in_the_end(desk: Desk) -> None:
    await desk.sim.fault("disconnect", operation=PLACE, count=1)
    orders = [await desk.place(f"r{n}") for n in range(20)]
    ends = ("active", "failed")
    await desk.hear(lambda heard: all(heard.state(order) in ends for order in orders))
    for order in orders:
        on_exchange = await exchange_orders(desk, order.client_order_id)
        assert on_exchange == (desk.state(order) == "active")
        assert await desk.sim.placements(order.client_order_id) <= 1
    await desk.drained()


async def test_r04_a_cancel_whose_answer_is_lost_ends_by_the_feed(desk: Desk) -> None:
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    await desk.sim.fault("disconnect", operation="order.cancel", count=1)
    answer = await desk.command("cancel", requestId="c1", orderId=order.client_order_id, subAccountId=ACCOUNT)
    assert answer["success"] and answer["state"] == "cancelled"
    await desk.until_state(order, "cancelled")


async def test_r05_a_cancel_that_meets_a_fill_says_that_it_was_filled(desk: Desk) -> None:
    order = await desk.place("r1", price="63999.0")
    await desk.until_state(order, "active")
    await desk.sim.fault("delay", operation="order.cancel", count=1, ms=400)
    cancelling = asyncio.create_task(desk.command("cancel", requestId="c1", orderId=order.client_order_id))
    await asyncio.sleep(0.1)
    await desk.sim.market("63990.0", "63990.1")
    answer = await cancelling
    assert answer["errorCode"] == "ORDER_ALREADY_FINAL" and answer["details"]["state"] == "filled"
    await desk.until_state(order, "filled")
    assert set(fills_told(desk).values()) == {1}


async def test_r13_what_a_disconnected_user_stream_missed_is_told_after_it(desk: Desk) -> None:
    orders = [await desk.place(f"r{n}", price=f"6399{n}.0") for n in range(5)]
    for order in orders:
        await desk.until_state(order, "active")
    await desk.sim.fault("disconnect", sockets="private")
    await desk.sim.market("63900.0", "63900.1")
    for order in orders:
        await desk.until_state(order, "filled")
    assert set(fills_told(desk).values()) == {1}
    assert sum(u.fill.quantity for u in desk.updates if isinstance(u, OrderUpdate) and u.fill) == Decimal("0.05")
    late = await desk.place("r9")
    await desk.until_state(late, "active")


async def test_a_killed_service_finds_what_happened_meanwhile(desk: Desk) -> None:
    filled = await desk.place("r1", price="63999.0")
    resting = await desk.place("r2")
    for order in (filled, resting):
        await desk.until_state(order, "active")
    await desk.drained()
    await desk.kill()
    await desk.sim.market("63990.0", "63990.1")
    await desk.start()
    await desk.until_state(filled, "filled")
    assert set(fills_told(desk).values()) == {1}
    await desk.cancel(resting)
    await desk.until_state(resting, "cancelled")
    for order in (filled, resting):
        assert await desk.sim.placements(order.client_order_id) == 1


async def test_r01_a_request_in_flight_at_a_kill_is_adopted_and_not_repeated(desk: Desk) -> None:
    await desk.sim.fault("delay", operation=PLACE, count=1, ms=300)
    order = await desk.place("r1", answer=True)
    await asyncio.sleep(0.15)
    await desk.kill()
    await desk.start()
    await desk.until_state(order, "active")
    assert await desk.sim.placements(order.client_order_id) == 1
    assert (await desk.result("r1"))["success"]
    await desk.drained()


async def test_what_was_asked_while_nobody_was_there_is_refused_after_a_conclusive_query(desk: Desk) -> None:
    await desk.kill()
    order = await desk.place("r1", answer=True)
    await asyncio.sleep(0.01)
    await desk.start()
    await desk.until_state(order, "failed")
    assert desk.of(order)[-1].error_code == "EXPIRED_COMMAND"
    assert await desk.sim.placements(order.client_order_id) == 0
    await desk.drained()


async def test_r08_what_the_journal_has_is_told_again_under_the_same_keys(desk: Desk) -> None:
    order = await desk.place("r1", order_type="MARKET", quantity="0.020")
    await desk.until_state(order, "filled")
    await desk.drained()
    before = fills_told(desk)
    await desk.kill()
    await desk.redis.delete(desk.names.updates("orders"))  # as if Redis had lost its last second
    await desk.start()
    desk.updates.clear()
    await desk.hear_from_the_start(lambda heard: heard.state(order) == "filled")
    assert fills_told(desk) == before


@pytest.mark.parametrize("step_ms", [5_000, -5_000])
async def test_r24_a_step_of_the_venues_clock_is_measured_and_the_order_sent_again(desk: Desk, step_ms: int) -> None:
    await desk.sim.post("/sim/clock", offsetMs=step_ms)
    order = await desk.place("r1", answer=True)
    await desk.until_state(order, "active")
    assert await exchange_orders(desk, order.client_order_id) == 1


async def test_r13_r24_new_risk_waits_for_the_comparison_after_a_gap_and_is_signed_after_the_wait(desk: Desk) -> None:
    await desk.sim.fault("disconnect", sockets="private", seconds=4)
    await desk.until_not_ready()
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    requests = await desk.sim.get("/sim/requests")
    names = [item["name"] for item in requests]
    (at,) = [at for at, item in enumerate(requests) if item["params"].get("newClientOrderId") == order.client_order_id]
    last_key = max(n for n, name in enumerate(names) if name == "POST /fapi/v1/listenKey")
    assert "GET /fapi/v1/openOrders" in names[last_key:at], "it went before the comparison"
    waited_ms = requests[at]["timeNs"] // 1_000_000 - order.approved_ms
    signed_ms = int(requests[at]["params"]["timestamp"]) - order.approved_ms
    assert waited_ms > 1_000, "no request signed before the wait would be taken: recvWindow is 1 s"
    assert waited_ms - 1_000 <= signed_ms


async def test_r15_the_listen_key_is_never_deleted(desk: Desk) -> None:
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    assert desk.process.stop() == 0
    requests = json.dumps(await desk.sim.get("/sim/requests"))
    assert "POST /fapi/v1/listenKey" in requests and "DELETE /fapi/v1/listenKey" not in requests


async def test_r25_the_venues_order_limit_is_never_met_and_a_cancel_passes_it(desk: Desk) -> None:
    resting = await desk.place("r0")
    await desk.until_state(resting, "active")
    expires_at_ms = int(time.time() * 1000) + 3_000
    for n in range(1, 130):  # this venue admits 100 in 10 s
        order = place_order(desk.names, f"r{n}", quantity="0.002", expires_at_ms=expires_at_ms, account_id=f"a{n % 3}")
        await desk.ask(order)
    await asyncio.sleep(0.3)
    before = time.monotonic()
    await desk.cancel(resting)
    await desk.until_state(resting, "cancelled")
    assert time.monotonic() - before < 1.0
    updates = [update for update in desk.updates if isinstance(update, OrderUpdate)]
    assert not [update for update in updates if update.error_code == "EXCHANGE_RATE_LIMITED"]
    names = {update.order.client_order_id for update in updates if update.cause == "active"}
    assert len(names) <= 100
