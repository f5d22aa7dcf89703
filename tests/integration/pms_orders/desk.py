"""What the tests hold in their hands: the order service and the simulator as processes, and the streams between."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import redis.asyncio
from tests.services import ServiceProcess

from pms_cli.embedded import free_port
from pms_common.bus import updates_in
from pms_common.contracts.bus.base import Message, encode
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, OrderUpdate, PlaceOrder
from pms_common.contracts.bus.streams import orders_updates
from pms_common.ids import client_order_id
from pms_common.names import Names

ACCOUNT = "acct-one"
WAIT_S = 30.0
"""Starting a process takes half a second, and much longer on a machine that is busy."""


class Simulator:
    """The exchange, as a process."""

    def __init__(self, address: dict[str, str]) -> None:
        self.address = address
        self._http = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._http.close()

    async def reset(self) -> None:
        """No faults, no limit used up, the right time, a market of 64,000.0 to 64,000.1."""
        for path in ("/sim/faults", "/sim/limits"):
            async with self._http.delete(self.address["rest"] + path) as answer:
                assert answer.status == 200
        await self.post("/sim/clock", offsetMs=0)
        await self.market("64000.0", "64000.1")

    async def post(self, path: str, **body: Any) -> Any:
        async with self._http.post(self.address["rest"] + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def get(self, path: str) -> Any:
        async with self._http.get(self.address["rest"] + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def market(self, bid: str, ask: str, quantity: str = "10", symbol: str = "BTCUSDT") -> None:
        await self.post("/sim/market", symbol=symbol, bid=bid, ask=ask, bidQty=quantity, askQty=quantity)

    async def fault(self, kind: str, **what: Any) -> None:
        await self.post("/sim/faults", kind=kind, **what)

    async def placements(self, name: str) -> int:
        """How many order.place requests with this client order id have arrived."""
        requests = await self.get("/sim/requests")
        return sum(item["params"].get("newClientOrderId") == name for item in requests)


@contextmanager
def simulator(**settings: str) -> Iterator[dict[str, str]]:
    """Run a simulator; its addresses."""
    command = [sys.executable, "-m", "pms_simulator", "--port", "0", "--market", "manual"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **settings}) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(WAIT_S)


class Desk:
    """Risk's seat: asks the order service and hears its updates."""

    def __init__(self, names: Names, redis_url: str, database: str, sim: Simulator) -> None:
        self.names, self.sim = names, sim
        self.redis = redis.asyncio.Redis.from_url(redis_url)
        self.database = database
        self.probe = free_port()
        self.updates: list[Any] = []
        self._last = "0"
        settings = {
            "PMS_NAMESPACE": names.namespace,
            "PMS_REDIS_URL": redis_url,
            "PMS_DATABASE_URL": database,
            "PMS_BINANCE_REST_URL": sim.address["rest"],
            "PMS_BINANCE_WS_URL": sim.address["ws"],
            "PMS_BINANCE_WSAPI_URL": sim.address["wsApi"],
            "PMS_ORDERS_METRICS_PORT": str(self.probe),
        }
        self.process = ServiceProcess("orders", settings)

    async def start(self) -> None:
        """Start the order service and wait until it is ready."""
        self.process.start()
        deadline = time.monotonic() + WAIT_S
        async with aiohttp.ClientSession() as http:
            while not await self._ready(http):
                assert self.process.running and time.monotonic() < deadline, self.process.log
                await asyncio.sleep(0.05)

    async def _ready(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"http://127.0.0.1:{self.probe}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def until_not_ready(self) -> None:
        async with asyncio.timeout(WAIT_S), aiohttp.ClientSession() as http:
            while await self._ready(http):  # noqa: ASYNC110 (the probe is asked)
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    async def stop(self) -> None:
        if self.process.running:
            assert await self.process.end() == 0, self.process.log
        await self.redis.aclose()

    # -- asking

    async def ask(self, message: Message, stream: str = "requests") -> str:
        name = getattr(self.names, stream)("orders")
        entry: Any = await self.redis.xadd(name, {"data": encode(message)})
        return str(entry.decode())

    async def place(self, request_id: str, **fields: Any) -> PlaceOrder:
        order = place_order(self.names, request_id, **fields)
        await self.ask(order)
        return order

    async def amend(self, order: PlaceOrder, price: str, quantity: str | None = None, replace_as: str = "") -> None:
        message = AmendOrder(
            client_order_id=order.client_order_id,
            account_id=order.account_id,
            symbol=order.symbol,
            price=Decimal(price),
            quantity=Decimal(quantity) if quantity else order.quantity,
            replace_as=replace_as,
        )
        await self.ask(message, "changes")

    async def cancel(self, order: PlaceOrder) -> None:
        message = CancelOrder(client_order_id=order.client_order_id, account_id=order.account_id, symbol=order.symbol)
        await self.ask(message, "urgent")

    async def command(self, type_: str, **body: Any) -> Any:
        """A public command with its result."""
        request_id = str(body["requestId"])
        async with self.redis.pubsub() as channel:
            await channel.subscribe(self.names.result(request_id))
            await self.redis.xadd(self.names.cmd(type_), {"data": json.dumps(body)})
            async with asyncio.timeout(WAIT_S):
                while True:
                    message = await channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
                    if message is not None:
                        return json.loads(message["data"])

    async def result(self, request_id: str) -> Any:
        async with asyncio.timeout(WAIT_S):
            while (body := await self.redis.get(self.names.result(request_id))) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return json.loads(body)

    # -- hearing

    async def hear(self, until: Callable[["Desk"], Any], seconds: float = WAIT_S) -> Any:
        """Read updates until `until` is true of what was heard."""
        deadline = time.monotonic() + seconds
        while not (found := until(self)):
            left = deadline - time.monotonic()
            assert left > 0, f"not heard; last: {self.updates[-5:]}"
            await self._read(min(200, int(left * 1000) + 1))
        return found

    async def hear_from_the_start(self, until: Callable[["Desk"], Any]) -> None:
        self._last = "0"
        await self.hear(until)

    async def _read(self, block_ms: int) -> None:
        stream = self.names.updates("orders")
        answer: Any = await self.redis.xread({stream: self._last}, count=1000, block=block_ms)
        for _, entries in answer or ():
            for entry_id, fields in entries:
                self._last = entry_id.decode()
                self.updates += map(orders_updates.decode, updates_in(fields))

    def of(self, order: PlaceOrder) -> list[OrderUpdate]:
        """What was heard of one order."""
        return [
            update
            for update in self.updates
            if isinstance(update, OrderUpdate) and update.order.client_order_id == order.client_order_id
        ]

    def causes(self, order: PlaceOrder) -> list[str]:
        return [update.cause for update in self.of(order)]

    def state(self, order: PlaceOrder) -> str:
        heard = self.of(order)
        return heard[-1].order.state if heard else ""

    async def until_state(self, order: PlaceOrder, state: str, seconds: float = WAIT_S) -> OrderUpdate:
        await self.hear(lambda desk: desk.state(order) == state, seconds)
        return self.of(order)[-1]

    async def until_cause(self, order: PlaceOrder, cause: str, seconds: float = WAIT_S) -> OrderUpdate:
        await self.hear(lambda desk: cause in desk.causes(order), seconds)
        return next(update for update in self.of(order) if update.cause == cause)

    async def drained(self) -> None:
        """Until no entry of the work streams is unacknowledged."""
        streams = [self.names.requests("orders"), self.names.urgent("orders"), self.names.changes("orders")]
        async with asyncio.timeout(WAIT_S):
            for stream in streams:
                while (await self.redis.xpending(stream, "orders"))["pending"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


def place_order(names: Names, request_id: str, **fields: Any) -> PlaceOrder:
    """A limit BUY of 0.01 BTC at 60,000 unless told otherwise."""
    account_id = fields.pop("account_id", ACCOUNT)
    given: dict[str, Any] = {
        "client_order_id": client_order_id(names.namespace, account_id, "LMT", request_id),
        "account_id": account_id,
        "symbol": "BTCUSDT",
        "side": "BUY",
        "order_type": "LIMIT",
        "quantity": "0.010",
        "price": "60000.0",
        "time_in_force": "GTC",
        "leverage": "10",
        "request_id": request_id,
        "command": "limit",
        "approved_ms": int(time.time() * 1000),
        **fields,
    }
    if given["order_type"] == "MARKET":
        given["price"] = given["time_in_force"] = None
    for name in ("quantity", "price", "leverage", "price_cap", "notional_cap"):
        if given.get(name) is not None:
            given[name] = Decimal(given[name])
    return msgspec.convert(given, PlaceOrder)
