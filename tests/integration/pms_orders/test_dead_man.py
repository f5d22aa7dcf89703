"""The dead-man switch with a real service, and a simulator that counts down."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.pms_orders.conftest import empty
from tests.integration.pms_orders.desk import WAIT_S, Desk, Simulator

from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.names import Names

COUNTDOWN_S = 5


@pytest.fixture
async def watched(names: Names, redis_url: str, database: str, exchange: dict[str, str]) -> AsyncIterator[Desk]:
    """An order service with the switch on."""
    await empty(database)
    sim = Simulator(exchange)
    await sim.reset()
    made = Desk(names, redis_url, database, sim)
    made.process.settings["PMS_DEAD_MAN_S"] = str(COUNTDOWN_S)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        await sim.close()


async def countdowns(desk: Desk) -> list[dict[str, Any]]:
    requests = await desk.sim.get("/sim/requests")
    return [item["params"] for item in requests if "countdownTime" in item["params"]]


async def is_open(desk: Desk, order: PlaceOrder) -> bool:
    account = next(iter((await desk.sim.get("/sim/state"))["accounts"].values()))
    return any(item["clientOrderId"] == order.client_order_id and item["status"] == "NEW" for item in account["orders"])


async def test_r30_a_killed_service_leaves_no_order_and_a_healthy_one_never_trips_the_switch(watched: Desk) -> None:
    order = await watched.place("r1")
    await watched.until_state(order, "active")
    async with asyncio.timeout(WAIT_S):
        while len(await countdowns(watched)) < 4:  # noqa: ASYNC110 (longer than one countdown lasts)
            await asyncio.sleep(0.1)
    assert await is_open(watched, order)
    await watched.kill()
    began = time.monotonic()
    async with asyncio.timeout(WAIT_S):
        while await is_open(watched, order):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert time.monotonic() - began < COUNTDOWN_S + WAIT_S / 2
    await watched.start()
    ended = await watched.until_state(order, "cancelled")
    assert ended.reason == "dead_man"
    await is_disarmed_without_orders(watched)


async def is_disarmed_without_orders(desk: Desk) -> None:
    before = len(await countdowns(desk))
    order = await desk.place("r2")
    async with asyncio.timeout(WAIT_S):
        while len(await countdowns(desk)) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert (await countdowns(desk))[-1]["countdownTime"] != "0"
        await desk.cancel(order)
        while (await countdowns(desk))[-1]["countdownTime"] != "0":  # noqa: ASYNC110
            await asyncio.sleep(0.1)
