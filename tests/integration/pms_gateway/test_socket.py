"""The WebSocket of events: replay and live in one order without holes; a slow socket is closed with a reason."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator

import aiohttp
import pytest
import redis.asyncio
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.test_utils import BaseTestServer, TestServer
from tests.integration.pms_gateway.conftest import GatewayProcess, Service

from pms_common.names import Names
from pms_gateway.adapters.log_store import LogStore
from pms_gateway.app.hub import Hub, LiveEvent
from pms_gateway.door.access import guard
from pms_gateway.door.socket import EventSocket
from pms_gateway.door.tokens import Tokens


async def read(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, object]]:
    async with asyncio.timeout(60):
        return [json.loads(await socket.receive_str()) for _ in range(count)]


async def test_replay_then_live_without_holes_also_while_events_flow(
    gateway: GatewayProcess, services: dict[str, Service], client: redis.asyncio.Redis, names: Names
) -> None:
    gateway.start()
    await gateway.healthy()
    risk = services["risk"]

    async def produce() -> None:
        for n in range(600):
            await risk.event("a", f"k{n}")

    for n in range(50):
        await risk.event("b", f"b{n}")
    producing = asyncio.create_task(produce())
    await asyncio.sleep(0.1)
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{gateway.url}/v1/events?after=0-0") as socket:
            first = await read(socket, 300)
        after = first[-1]["eventId"]
        async with http.ws_connect(f"{gateway.url}/v1/events?after={after}") as socket:
            rest = await read(socket, 350)
            await producing
        async with http.ws_connect(f"{gateway.url}/v1/events") as live:
            await risk.event("a", "last")
            assert (await read(live, 1))[0]["seq"] == 601
        gateway.kill()
        gateway.start()
        await gateway.healthy()
        async with http.ws_connect(f"{gateway.url}/v1/events?after={rest[-1]['eventId']}") as socket:
            assert (await read(socket, 1))[0]["seq"] == 601
        async with http.get(f"{gateway.url}/v1/events?after=x") as refused:
            assert refused.status == 400
            assert (await refused.json())["errors"][0]["field"] == "after"
    told = [event for event in first + rest if event["subAccountId"] == "a"]
    assert [event["seq"] for event in told] == list(range(1, 601))


async def test_who_follows_one_account_hears_of_no_other(gateway: GatewayProcess, services: dict[str, Service]) -> None:
    gateway.start()
    await gateway.healthy()
    risk = services["risk"]

    async def tell(first: int) -> None:
        for n in range(first, first + 20):
            await risk.event("ab*"[n % 3], f"k{n}")

    await tell(0)
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{gateway.url}/v1/events?after=0-0") as socket:
            await read(socket, 20)
        async with http.ws_connect(f"{gateway.url}/v1/events?after=0-0&subAccountId=a") as socket:
            before = await read(socket, 13)
            await tell(20)
            told = before + await read(socket, 14)
    assert [(event["subAccountId"], event["seq"]) for event in told if event["subAccountId"] != "*"] == [
        ("a", seq) for seq in range(1, 15)
    ]
    assert [event["seq"] for event in told if event["subAccountId"] == "*"] == list(range(1, 14))


@pytest.fixture
async def server(redis_url: str, names: Names) -> AsyncIterator[tuple[BaseTestServer, Hub, asyncio.Event]]:
    client = redis.asyncio.Redis.from_url(redis_url)
    hub, stopping = Hub(ring=64), asyncio.Event()
    app = web.Application(middlewares=[guard(lambda: Tokens(()))])
    app.add_routes(EventSocket(hub, LogStore(client, names), stopping, lambda: Tokens(())).routes())
    async with TestServer(app) as served:
        yield served, hub, stopping
    await client.aclose()


async def test_a_slow_socket_is_closed_with_the_reason_and_where_to_read_on(
    server: tuple[BaseTestServer, Hub, asyncio.Event],
) -> None:
    served, hub, _ = server
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in await reader.readline()
    payload = b'{"eventId":"x","pad":"' + b"p" * 50_000 + b'"}'
    for n in range(1, 2_000):  # 100 MB: more than sockets hold
        hub.add([LiveEvent((n, 0), payload)])
        if n % 50 == 0:
            await asyncio.sleep(0.001)
    await asyncio.sleep(1)
    received = bytearray()
    async with asyncio.timeout(60):
        while chunk := await reader.read(1 << 20):
            received += chunk
            del received[:-200]
    writer.close()
    assert b"too slow; read on with after=" in received


async def test_a_fast_socket_beside_it_gets_everything(server: tuple[BaseTestServer, Hub, asyncio.Event]) -> None:
    served, hub, stopping = server
    async with aiohttp.ClientSession() as http, http.ws_connect(served.make_url("/v1/events")) as socket:
        for n in range(1, 501):
            hub.add([LiveEvent((n, 0), b'{"n":%d}' % n)])
            if n % 20 == 0:
                await asyncio.sleep(0.002)
        assert [event["n"] for event in await read(socket, 500)] == list(range(1, 501))
        stopping.set()
        ended = await socket.receive()
        assert (ended.type, ended.data) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
        assert "stopping" in str(ended.extra)
