"""The processes of all services, and prices, at a real gateway's door."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import redis.asyncio
from tests.integration.pms_gateway.conftest import GatewayProcess
from tests.services import PATIENCE_S

from pms_common.clock import now_ms
from pms_common.contracts.base import encode
from pms_common.contracts.bus.heartbeat import STALE_MS, Heartbeat
from pms_common.names import Names


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def beat(service: str, process: str, told_ms: int, leads: bool | None = None) -> bytes:
    return encode(
        Heartbeat(
            service=service,
            process=process,
            told_ms=told_ms,
            started_ms=1,
            ready=True,
            leads=leads,
            why="",
            resident_bytes=1,
            loop_lag_s=0.0,
            latencies={},
            backlogs=(),
            figures={"risk_drifts": 0.0},
        )
    )


async def processes(gateway: GatewayProcess, http: aiohttp.ClientSession) -> dict[str, list[dict[str, Any]]]:
    async with http.get(f"{gateway.url}/v1/services") as answer:
        return {service["name"]: service["processes"] for service in (await answer.json())["services"]}


async def test_processes_are_listed_leaders_first_and_the_silent_are_left_out(
    gateway: GatewayProcess, client: redis.asyncio.Redis, names: Names, http: aiohttp.ClientSession
) -> None:
    now = now_ms()
    beats = {
        "risk:a:1": beat("risk", "a:1", now + 60_000, leads=False),
        "risk:b:1": beat("risk", "b:1", now + 60_000, leads=True),
        "orders:a:2": beat("orders", "a:2", now - STALE_MS - 1),
        "orders:a:1": beat("orders", "a:1", 1),
        "feed:a:1": b"{",
    }
    await client.hset(names.heartbeats, mapping=beats)  # type: ignore[arg-type]
    gateway.start()
    await gateway.healthy()
    found = await processes(gateway, http)
    async with asyncio.timeout(PATIENCE_S):
        while not found["gateway"]:
            await asyncio.sleep(0.2)
            found = await processes(gateway, http)
    own = found["gateway"][0]
    assert (own["process"].endswith(f":{gateway.pid}"), own["residentBytes"] > 1_000_000) == (True, True)
    assert own["leads"] is False or own["leads"] is True
    assert [process["process"] for process in found["risk"]] == ["b:1", "a:1"]
    assert (found["orders"], found["feed"]) == ([], [])
    left = set(await client.hkeys(names.heartbeats))
    assert {b"orders:a:2", b"feed:a:1"} <= left
    assert b"orders:a:1" not in left


async def test_prices_are_what_the_feed_cached_and_null_where_there_is_none(
    gateway: GatewayProcess, client: redis.asyncio.Redis, names: Names, http: aiohttp.ClientSession
) -> None:
    await client.set(names.price("BTCUSDT"), b'{"bid":1,"ask":2,"mid":1.5,"mark":1.5,"ts":1}')
    gateway.start()
    await gateway.healthy()
    async with http.get(f"{gateway.url}/v1/prices?symbols=BTCUSDT,ETHUSDT") as answer:
        prices = (await answer.json())["prices"]
    assert (prices["BTCUSDT"]["mid"], prices["ETHUSDT"]) == (1.5, None)
    for bad in ("", ",", "A B", "x:y", ",".join(["A"] * 101)):
        async with http.get(f"{gateway.url}/v1/prices", params={"symbols": bad}) as answer:
            assert answer.status == 400
            assert (await answer.json())["errors"][0]["field"] == "symbols"
