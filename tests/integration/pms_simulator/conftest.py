"""A started simulator in the test's loop, and a client that signs."""

import asyncio
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from pms_simulator.main import Simulator, start
from pms_simulator.settings import SimConfig


class Client:
    """Signed REST, WebSocket API and streams of one simulator."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session
        self._ids = itertools.count(1)
        self.upgrades = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))  # none on a used line
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def raw(self, method: str, path: str, query: str = "", key: str | None = "sim-key") -> tuple[int, Any, Any]:
        """Status, body, headers of a request as it is."""
        headers = {"X-MBX-APIKEY": key} if key else {}
        url = f"{self.simulator.url}{path}{'?' + query if query else ''}"
        async with self.session.request(method, URL(url, encoded=True), headers=headers) as answer:
            return answer.status, await answer.json(), answer.headers

    async def call(self, method: str, path: str, **params: Any) -> Any:
        """The body of a signed request."""
        return (await self.raw(method, path, sign_query(params)))[1]

    @staticmethod
    def signed(**params: Any) -> str:
        """The signed query of sim-key."""
        return sign_query(params)

    async def control(self, method: str, path: str, **body: Any) -> Any:
        """A control request's body."""
        url = f"{self.simulator.url}/sim/{path}"
        async with self.session.request(method, url, json=body or None) as answer:
            return await answer.json()

    async def limit(self, price: str = "59000.00", quantity: str = "0.010", side: str = "BUY", **more: Any) -> Any:
        """A limit order over REST."""
        order = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC"}
        return await self.call("POST", "/fapi/v1/order", **{**order, "price": price, "quantity": quantity, **more})

    async def market(self, side: str = "BUY", quantity: str = "0.010", **more: Any) -> Any:
        """A market order over REST."""
        order = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": quantity}
        return await self.call("POST", "/fapi/v1/order", **{**order, "newOrderRespType": "RESULT", **more})

    async def quote(self, bid: str = "60000.00", ask: str = "60000.10", size: str = "50") -> Any:
        """Set the BTCUSDT quote."""
        return await self.control("POST", "market", symbol="BTCUSDT", bid=bid, ask=ask, bidQty=size, askQty=size)

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket of the simulator."""
        patience = aiohttp.ClientWSTimeout(ws_close=0.1)  # a silenced socket never answers a close
        socket = await self.upgrades.ws_connect(self.simulator.ws_url + path, timeout=patience)
        self._sockets.append(socket)
        return socket

    async def user_stream(self) -> aiohttp.ClientWebSocketResponse:
        """A fresh user stream."""
        key = (await self.raw("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
        return await self.socket(f"/private/ws/{key}")

    async def close_sockets(self) -> None:
        """Leave no socket to the garbage collector."""
        for socket in self._sockets:
            await socket.close()
        await self.upgrades.close()

    def api_frame(self, method: str, signed: bool = True, **params: Any) -> dict[str, Any]:
        """A WebSocket-API request."""
        if signed:
            params = {"apiKey": "sim-key", "timestamp": time.time_ns() // 1_000_000, **params}
            payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
            params["signature"] = hmac.digest(b"sim-secret", payload.encode(), "sha256").hex()
        return {"id": str(next(self._ids)), "method": method, "params": params}


def sign_query(params: dict[str, Any], secret: bytes = b"sim-secret") -> str:
    """The signed query of a request."""
    params = {"timestamp": time.time_ns() // 1_000_000, **params}
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return f"{query}&signature={hmac.digest(secret, query.encode(), 'sha256').hex()}"


async def receive(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """The next frame as JSON."""
    return json.loads((await asyncio.wait_for(socket.receive(), 5)).data)


@pytest.fixture
async def start_client() -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    started: list[Client] = []

    async def begin(**settings: Any) -> Client:
        simulator = await start(SimConfig(**{"port": 0, "market": "manual", **settings}))
        client = Client(simulator, aiohttp.ClientSession())
        started.append(client)
        if simulator.venue.config.market == "manual":
            await client.quote()
        return client

    yield begin
    for client in started:
        await client.session.close()
        await client.close_sockets()
        await client.simulator.stop()
    await asyncio.sleep(0)


@pytest.fixture
async def client(start_client: Callable[..., Awaitable[Client]]) -> Client:
    return await start_client()


@pytest.fixture
def frames() -> Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]]:
    return receive
