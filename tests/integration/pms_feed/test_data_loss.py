"""Redis loses its data while the feed runs: everything comes back by itself, within seconds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.pms_common.bus.conftest import Server
from tests.integration.pms_feed.rig import WAIT_S, Rig, now_ms, until
from tests.integration.pms_feed.rig import rig as made_rig

from pms_common.bus import Bus
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick, WatchLease
from pms_common.names import Names

NAMES = Names("lost")


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """A server whose data no other test needs."""
    own = Server(tmp_path / "valkey")
    yield own
    own.child.stop()


@pytest.fixture
async def rig(server: Server, tmp_path: Path) -> AsyncIterator[Rig]:
    """The feed is not started yet."""
    async with made_rig(NAMES, server.url, tmp_path / "feed.log") as made:
        await made.market(64_000.0, 64_000.1)
        await made.market(3_000.0, 3_000.01, "ETHUSDT")
        yield made


@pytest.mark.parametrize("loss", ["flush", "restart without its file"])
async def test_r27_leases_ticks_groups_prices_and_the_share_come_back(server: Server, rig: Rig, loss: str) -> None:
    await rig.start()
    await rig.lease("risk", ["ETHUSDT"])
    await rig.tick(lambda tick: tick.symbol == "ETHUSDT")
    heard: list[Tick] = []
    bus = await Bus.connect(server.url, "algos", NAMES)
    reading = asyncio.create_task(bus.ticks_reader(NAMES.ticks, "algos", heard.extend).run())
    try:
        async with asyncio.timeout(WAIT_S):
            await until(lambda: _heard(heard, since_us=0))
            await rig.price("ETHUSDT")
            await until(lambda: _groups(rig, NAMES.watch))
            if loss == "flush":
                await rig.redis.flushall()
            else:
                await rig.redis.aclose()
                server.kill()
                server.lose_data()
                server.start()
            lost_us = now_ms() * 1000
            await until(lambda: _heard(heard, since_us=lost_us))
            for symbol in ("BTCUSDT", "ETHUSDT"):
                assert (await rig.price(symbol))["ts"] > lost_us // 1000 - 3_000
            assert await until(lambda: rig.redis.hgetall(NAMES.feeds))
            assert await until(lambda: _groups(rig, NAMES.watch)) == {b"feed"}
            await rig.market(500.0, 500.01, "BNBUSDT")
            await rig.lease("algos", ["BNBUSDT"])
            await rig.tick(lambda tick: tick.symbol == "BNBUSDT")
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await bus.close()


async def _heard(ticks: list[Tick], since_us: int) -> bool:
    return {tick.symbol for tick in ticks if tick.sent_us > since_us} >= {"BTCUSDT", "ETHUSDT"}


async def _groups(rig: Rig, stream: str) -> set[bytes]:
    if not await rig.redis.exists(stream):
        return set()
    return {group["name"] for group in await rig.redis.xinfo_groups(stream)}


async def test_leases_are_heard_from_a_successor_whose_clock_is_behind(rig: Rig) -> None:
    await rig.start()
    hour_ms = 3_600_000
    ahead = WatchLease(owner="risk", symbols=["ETHUSDT"], until_ms=now_ms() + hour_ms)
    await rig.redis.xadd(NAMES.watch, {"data": encode(ahead)}, id=f"{now_ms() + hour_ms}-0")
    await rig.tick(lambda tick: tick.symbol == "ETHUSDT")
    await rig.redis.delete(NAMES.watch)
    await rig.market(500.0, 500.01, "BNBUSDT")
    await rig.lease("algos", ["BNBUSDT"])
    await rig.tick(lambda tick: tick.symbol == "BNBUSDT")
