"""R-12 and R-14: the user stream comes back whatever ends it, and never deletes the listen key."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.pms_orders.desk import Simulator

from pms_common.clock import now_ms
from pms_common.rate.window import Window
from pms_orders.adapters.binance import connecting, wire
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.user_stream import UserStream
from pms_orders.domain.rate import Budget


class Ear:
    """Hears a user stream."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.connections: list[bool] = []

    def connected(self, ok: bool, _why: str) -> None:
        self.connections.append(ok)

    async def until_connected(self, times: int) -> None:
        async with asyncio.timeout(20):
            while self.connections.count(True) < times:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
async def sim(exchange: dict[str, str]) -> AsyncIterator[Simulator]:
    made = Simulator(exchange)
    await made.reset()
    yield made
    await made.close()


@pytest.fixture
async def rest(sim: Simulator) -> AsyncIterator[ExchangeClient]:
    clock = VenueClock()
    budget = Budget((Window(10_000, 300),), Window(60_000, 2_400))
    client = ExchangeClient(sim.address["rest"], Signer("sim-key", "sim-secret"), clock, budget, now_ms)
    await clock.measure(client.time_ms)
    yield client
    await client.close()


async def _listen(sim: Simulator, rest: ExchangeClient, ear: Ear, keep_alive_s: float = 1_800.0) -> asyncio.Task[None]:
    stream = UserStream(
        rest,
        sim.address["ws"],
        heard=ear.events.extend,
        connected=ear.connected,
        keep_alive_s=keep_alive_s,
    )
    task = asyncio.create_task(stream.run())
    await ear.until_connected(1)
    return task


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_r14_a_dead_listen_key_leads_to_a_new_one(sim: Simulator, rest: ExchangeClient) -> None:
    ear = Ear()
    what = {"http": 400, "code": -1125, "msg": "This listenKey does not exist."}
    await sim.fault("error", operation="listenKey.prolong", count=1, **what)
    task = await _listen(sim, rest, ear, keep_alive_s=0.1)
    await ear.until_connected(2)
    assert ear.connections[:3] == [True, False, True]
    await _end(task)


async def test_r14_a_listen_key_that_somebody_else_deleted_is_replaced(sim: Simulator, rest: ExchangeClient) -> None:
    ear = Ear()
    task = await _listen(sim, rest, ear, keep_alive_s=0.3)
    async with rest._session.delete(f"{sim.address['rest']}/fapi/v1/listenKey") as answer:
        assert answer.status == 200
    await ear.until_connected(2)
    await _end(task)


async def test_r14_an_expired_listen_key_leads_to_a_new_connection(sim: Simulator, rest: ExchangeClient) -> None:
    ear = Ear()
    heard: list[Any] = []
    stream = UserStream(rest, sim.address["ws"], heard=heard.extend, connected=ear.connected)
    task = asyncio.create_task(stream.run())
    await ear.until_connected(1)
    expired = wire.decode_event(b'{"e":"listenKeyExpired","E":1736996475556,"listenKey":"KEY"}')
    assert expired is not None
    stream._hear([expired])
    await ear.until_connected(2)
    await _end(task)


async def test_a_keep_alive_that_is_refused_for_a_passing_reason_keeps_the_stream(
    sim: Simulator, rest: ExchangeClient
) -> None:
    ear = Ear()
    await sim.fault("error", operation="listenKey.prolong", count=2, http=503, code=0, msg="Service Unavailable.")
    task = await _listen(sim, rest, ear, keep_alive_s=0.05)
    await asyncio.sleep(0.5)
    assert ear.connections == [True]
    await _end(task)


async def test_r12_a_dropped_socket_is_connected_again(sim: Simulator, rest: ExchangeClient) -> None:
    ear = Ear()
    task = await _listen(sim, rest, ear)
    before = time.monotonic()
    await sim.fault("disconnect", sockets="private")
    await ear.until_connected(2)
    assert time.monotonic() - before < 5
    await _end(task)


async def test_r12_a_peer_that_falls_silent_without_an_end_is_noticed_by_its_pongs(
    sim: Simulator, rest: ExchangeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing moves, so no event is missed: inactivity alone has to tell."""
    monkeypatch.setattr(connecting, "PING_IDLE_S", 0.5)
    monkeypatch.setattr(connecting, "PONG_WITHIN_S", 0.5)
    ear = Ear()
    task = await _listen(sim, rest, ear)
    await sim.fault("half_open", sockets="private", pongs=False)
    await ear.until_connected(2)
    assert False in ear.connections
    await _end(task)


async def test_the_venues_clock_is_followed_and_a_wrong_timestamp_refused(sim: Simulator, rest: ExchangeClient) -> None:
    await sim.post("/sim/clock", offsetMs=60_000)
    with pytest.raises(VenueRefused) as refusal:
        await rest.balances()
    assert refusal.value.error.code == -1021
    await rest._clock.measure(rest.time_ms)
    assert await rest.balances()
