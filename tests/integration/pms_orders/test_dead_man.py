"""The dead-man switch with a real service, and a simulator that counts down."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.pms_orders.conftest import desk_at
from tests.integration.pms_orders.desk import WAIT_S, Desk, Simulator
from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import report

from pms_common.clock import now_ms
from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.names import Names
from pms_common.rate.window import Window
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import ExchangeClient
from pms_orders.adapters.binance.signing import Signer
from pms_orders.app.dead_man import DeadMan
from pms_orders.domain.dead_man import REASON
from pms_orders.domain.rate import Budget
from pms_orders.domain.table import Kind

COUNTDOWN_S = 5


@pytest.fixture
async def watched(names: Names, redis_url: str, database: str, exchange: dict[str, str]) -> AsyncIterator[Desk]:
    """An order service with the switch on."""
    async with desk_at(exchange, names, redis_url, database, PMS_DEAD_MAN_S=str(COUNTDOWN_S)) as made:
        yield made


async def countdowns(sim: Simulator) -> list[dict[str, Any]]:
    requests = await sim.get("/sim/requests")
    return [item["params"] for item in requests if "countdownTime" in item["params"]]


async def is_open(desk: Desk, order: PlaceOrder) -> bool:
    account = next(iter((await desk.sim.get("/sim/state"))["accounts"].values()))
    return any(item["clientOrderId"] == order.client_order_id and item["status"] == "NEW" for item in account["orders"])


async def test_r30_a_killed_service_leaves_no_order_and_a_healthy_one_never_trips_the_switch(watched: Desk) -> None:
    order = await watched.place("r1")
    await watched.until_state(order, "active")
    async with asyncio.timeout(WAIT_S):
        while len(await countdowns(watched.sim)) < 4:  # noqa: ASYNC110 (longer than one countdown lasts)
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
    before = len(await countdowns(desk.sim))
    order = await desk.place("r2")
    async with asyncio.timeout(WAIT_S):
        while len(await countdowns(desk.sim)) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert (await countdowns(desk.sim))[-1]["countdownTime"] != "0"
        await desk.cancel(order)
        while (await countdowns(desk.sim))[-1]["countdownTime"] != "0":  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_r30_a_successor_knows_the_countdown_whose_setting_was_not_confirmed(
    rig: Rig, exchange: dict[str, str]
) -> None:
    """The service dies after the exchange was asked, and before it has answered; so it does a second time."""
    sim, key = Simulator(exchange), rig.names.own("orders", "dead_man")
    budget, clock = Budget((Window(10_000, 300),), Window(60_000, 2_400)), VenueClock()
    rest = ExchangeClient(exchange["rest"], Signer("sim-key", "sim-secret"), clock, budget, now_ms)

    def switch() -> DeadMan:
        return DeadMan(
            countdown_ms=60_000,
            manager=rig.manager,
            rest=rest,
            clock=clock,
            outbox=rig.bus.outbox,
            key=key,
            healthy=lambda: True,
            others_at=set,
        )

    try:
        await sim.reset()
        await clock.measure(rest.time_ms)
        await rig.accepted()
        first_ms = 0
        for _ in range(2):
            asked_before = len(await countdowns(sim))
            await sim.fault("delay", operation="countdown", where="response", ms=30_000, count=1)
            dying = switch()
            await dying.load(rig.bus.redis)
            running = asyncio.create_task(dying.run())
            async with asyncio.timeout(WAIT_S):
                while len(await countdowns(sim)) == asked_before:  # noqa: ASYNC110 (the exchange is asked)
                    await asyncio.sleep(0.02)
            until_ms = clock.now_ms() + 60_000
            first_ms = first_ms or until_ms
            running.cancel()
            successor = switch()
            await successor.load(rig.bus.redis)
            for event_ms in {first_ms, until_ms}:
                ended = report(Kind.CANCELLED, event_ms=event_ms)
                successor.explain(ended)
                assert ended.reason == REASON, "the successor does not know the countdown"
    finally:
        await rest.close()
        await sim.reset()
        await sim.close()
