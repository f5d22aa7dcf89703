"""Ways to the exchange: orders and cancels go on where the trading socket is away, and within every limit."""

import asyncio
import json
import re
import time
from typing import Any

import aiohttp
import pytest
from tests.integration.pms_orders.conftest import desk_at
from tests.integration.pms_orders.desk import WAIT_S, Desk, place_order, simulator

from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import CancelOrder
from pms_common.names import Names


async def way(desk: Desk, name: str) -> list[tuple[str, str]]:
    """How the requests about an order have arrived: (transport, request)."""
    found = []
    for item in await desk.sim.get("/sim/requests"):
        said = json.dumps(item["params"])
        if name in said and "listenKey" not in item["name"] and not item["name"].startswith("GET"):
            found.append((item["transport"], item["name"]))
    return found


async def metrics(desk: Desk) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{desk.probe}/metrics") as response:
        return await response.text()


async def cut(desk: Desk, seconds: float) -> None:
    """The WebSocket API is away; wait until the order service knows."""
    await desk.sim.fault("disconnect", sockets="ws-api", seconds=seconds)
    async with asyncio.timeout(WAIT_S):
        while 'pms_trading_line_up{line="socket"} 0.0' not in await metrics(desk):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_r04_orders_amendments_and_cancels_go_over_rest_while_the_socket_is_away(desk: Desk) -> None:
    before = await desk.place("r0")
    await desk.until_state(before, "active")
    await cut(desk, 60)
    order = await desk.place("r1", answer=True, time_in_force="GTX")
    await desk.until_state(order, "active")
    assert (await desk.result("r1"))["success"]
    await desk.amend(order, "59000.0")
    await desk.until_cause(order, "amended")
    for resting in (before, order):
        await desk.cancel(resting)
        await desk.until_state(resting, "cancelled")
    assert await way(desk, order.client_order_id) == [("rest", "POST /fapi/v1/order")]
    arrived = [(item["transport"], item["name"]) for item in await desk.sim.get("/sim/requests")]
    assert ("rest", "PUT /fapi/v1/order") in arrived and ("rest", "DELETE /fapi/v1/order") in arrived
    await desk.drained()


async def test_r01_a_rest_answer_that_is_lost_is_asked_for_and_not_sent_again(desk: Desk) -> None:
    await cut(desk, 60)
    await desk.sim.fault("disconnect", operation="order.place", count=1)
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    assert len(await way(desk, order.client_order_id)) == 1
    await desk.cancel(order)
    await desk.until_state(order, "cancelled")


async def test_many_cancels_of_a_symbol_leave_as_batches_each_with_its_own_outcome(desk: Desk) -> None:
    orders = [await desk.place(f"r{n}", quantity="0.002") for n in range(12)]
    for order in orders:
        await desk.until_state(order, "active")
    async with desk.redis.pipeline(transaction=True) as together:
        for order in orders:
            message = CancelOrder(
                client_order_id=order.client_order_id, account_id=order.account_id, symbol=order.symbol
            )
            together.xadd(desk.names.urgent("orders"), {"data": encode(message)})
        await together.execute()
    for order in orders:
        await desk.until_state(order, "cancelled")
    arrived = [item["name"] for item in await desk.sim.get("/sim/requests")]
    assert "DELETE /fapi/v1/batchOrders" in arrived
    await desk.drained()


async def test_r25_a_ban_is_respected_by_the_next_process_too(desk: Desk) -> None:
    await desk.sim.fault("ban", seconds=4)
    began = time.monotonic()
    order = await desk.place("r1")
    async with asyncio.timeout(WAIT_S):
        while not await desk.redis.exists(ban := await ban_key(desk)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await desk.kill()
    left_ms = await desk.redis.pttl(ban)
    assert 0 < left_ms <= 5_000
    seen = len(await desk.sim.get("/sim/requests"))
    starting = asyncio.create_task(desk.start())
    while time.monotonic() - began < 3.8:
        await asyncio.sleep(0.25)
        assert len(await desk.sim.get("/sim/requests")) == seen, "a request during the ban"
    await starting
    await desk.hear(lambda heard: heard.state(order) in ("active", "failed"))


async def ban_key(desk: Desk) -> str:
    found = [key async for key in desk.redis.scan_iter(match=f"{desk.names.namespace}:rate:*:ban")]
    return found[0].decode() if found else ""


async def answers(desk: Desk) -> dict[str, float]:
    """Answers of the trading API by outcome, both transports."""
    text = await metrics(desk)
    counts: dict[str, float] = {}
    pattern = r'^pms_exchange(?:_rest)?_answers_total\{.*outcome="([^"]+)"\} (\S+)'
    for outcome, count in re.findall(pattern, text, re.MULTILINE):
        counts[outcome] = counts.get(outcome, 0.0) + float(count)
    return counts


@pytest.mark.slow
async def test_r25_a_storm_meets_no_limit_of_the_venue_and_cancels_do_not_wait(
    names: Names, redis_url: str, database: str
) -> None:
    """Orders saturate the venue's own limits; cancels go through at once, and no request is refused for its rate."""
    with simulator() as address:
        async with desk_at(address, names, redis_url, database) as desk:
            resting = [await desk.place(f"c{n}", quantity="0.002") for n in range(60)]
            for order in resting:
                await desk.until_state(order, "active")
            expires_at_ms = int(time.time() * 1000) + 3_000
            for n in range(400):
                fields: dict[str, Any] = {"account_id": f"a{n % 3}", "expires_at_ms": expires_at_ms}
                await desk.ask(place_order(desk.names, f"n{n}", quantity="0.002", time_in_force="IOC", **fields))
            asked: dict[str, int] = {}
            for order in resting:
                asked[order.client_order_id] = time.time_ns()
                await desk.cancel(order)
                await asyncio.sleep(0.02)
            for order in resting:
                await desk.until_state(order, "cancelled")
            waits = await cancel_waits_ms(desk, asked)
            counted = await answers(desk)
    assert not {"-1015", "-1003"} & counted.keys(), counted
    assert sorted(waits)[int(len(waits) * 0.99) - 1] <= 100, sorted(waits)[-5:]


async def cancel_waits_ms(desk: Desk, asked: dict[str, int]) -> list[float]:
    """From a cancel's entry in the stream to its arrival at the exchange."""
    waits = []
    numbers = {}
    for update in desk.updates:
        order = getattr(update, "order", None)
        if order is not None and order.client_order_id in asked:
            numbers[str(order.exchange_order_id)] = asked[order.client_order_id]
    for item in await desk.sim.get("/sim/requests"):
        begun_ns = numbers.get(str(item["params"].get("orderId")))
        if begun_ns is not None and "cancel" in item["name"]:
            waits.append((item["timeNs"] - begun_ns) / 1e6)
    assert len(waits) >= 55
    return waits
