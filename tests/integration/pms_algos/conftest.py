"""A real algos process, and risk, orders and feed as it meets them on its streams.

The venue here says what the order service would say: a child is registered once by its client order id, a cancel of an
unknown one leaves a tombstone, each final state is told once and again when asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio
from tests.services import PATIENCE_S, ServiceProcess

from pms_common.bus import updates_in
from pms_common.clock import now_ms
from pms_common.contracts.bus.algos import Control, ControlAlgos
from pms_common.contracts.bus.base import FINAL_STATES, Update, encode
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, Tick, snapshot_request
from pms_common.contracts.bus.orders import (
    AmendOrder,
    CancelOrder,
    OrderUpdate,
    OrderView,
    Reference,
    SymbolSpec,
    order_work,
)
from pms_common.contracts.bus.risk import AccountState, ChildAmend, ChildOrder, ChildRefused, risk_work
from pms_common.contracts.bus.streams import algos_updates
from pms_common.db import connect
from pms_common.names import Names

D = Decimal
NONE = D(0)
SPEC = SymbolSpec(
    symbol="BTCUSDT",
    status="TRADING",
    base_asset="BTC",
    quote_asset="USDT",
    margin_asset="USDT",
    tick_size=D("0.1"),
    min_price=D("0.1"),
    max_price=D(1_000_000),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(1000),
    market_step_size=D("0.001"),
    market_min_quantity=D("0.001"),
    market_max_quantity=D(100),
    min_notional=D(5),
    percent_price_up=D("1.05"),
    percent_price_down=D("0.95"),
    max_orders=200,
    market_take_bound=D("0.05"),
)
SPECS = [SPEC, msgspec.structs.replace(SPEC, symbol="ETHUSDT", base_asset="ETH")]
AT_MARKET = D(100)
ACCOUNT = b'{"balance":1000,"equity":1000,"marginUsed":0,"availableMargin":1000,"positions":[],"status":"ACTIVE"}'
"""As risk tells it: more than events carry."""
HOLDING = ACCOUNT.replace(
    b"[]",
    b'[{"id":"pos_1","symbol":"BTCUSDT","side":"LONG","entryPrice":100,"quantity":0.5,"margin":10,"leverage":5}]',
)


@dataclass
class Child:
    """An order as its owner knows it."""

    order: ChildOrder
    price: Decimal | None
    state: str = "active"
    executed: Decimal = NONE
    version: int = 1

    @property
    def alive(self) -> bool:
        return self.state not in FINAL_STATES


class World:
    """Risk, orders and feed."""

    def __init__(self, client: redis.asyncio.Redis, names: Names) -> None:
        self.client, self.names = client, names
        self.children: dict[str, Child] = {}
        self.tombstones: set[str] = set()
        self.refuse: str | None = None
        self.account = ACCOUNT
        self.silent = False
        self.lookups = 0
        self.stopping = False
        self.asked: list[ChildOrder] = []
        self.amends: list[AmendOrder] = []
        self.beyond: list[ChildAmend] = []
        self.cancels: list[CancelOrder] = []
        self.most_alive = 0
        self._n = {"orders": 0, "risk": 0}
        self._seen: dict[str, str] = {}

    # -- telling

    async def tell(self, service: str, kind: type[Update], /, **fields: object) -> None:
        self._n[service] += 1
        data = encode(kind(epoch=1, n=self._n[service], **fields))
        await self.client.xadd(self.names.updates(service), {"data": data})

    async def told(self, child_id: str, cause: str, **extra: Any) -> None:
        child = self.children[child_id]
        order = child.order
        view = OrderView(
            client_order_id=child_id,
            account_id=order.account_id,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            price=child.price,
            leverage=order.leverage,
            parent_id=order.parent_id,
            origin=order.origin,
            state=child.state,  # type: ignore[arg-type]
            executed_quantity=child.executed,
            average_price=(child.price or AT_MARKET) if child.executed else None,
            version=child.version,
            created_ms=1,
            updated_ms=child.version,
        )
        key = f"{child_id}:{cause}:{child.version}"
        await self.tell("orders", OrderUpdate, key=key, cause=cause, order=view, event_ms=now_ms(), **extra)

    async def fill(self, child_id: str, quantity: str) -> None:
        child = self.children[child_id]
        child.executed += D(quantity)
        child.version += 1
        if child.executed == child.order.quantity:
            child.state = "filled"
        await self.told(child_id, "fill")

    async def cancel(self, child_id: str) -> None:
        child = self.children[child_id]
        if child.alive:
            child.state = "cancelled"
            child.version += 1
        await self.told(child_id, "cancelled")

    async def tick(self, bid: float, ask: float) -> None:
        ms = now_ms()
        ticks = [Tick(spec.symbol, bid, 1.0, ask, 1.0, ms, ms * 1000, ms * 1000, ms, ms) for spec in SPECS]
        await self.client.xadd(self.names.ticks, {"data": encode(ticks)})

    # -- listening

    async def run(self) -> None:
        handlers = {
            self.names.requests("risk"): self._on_request,
            self.names.changes("orders"): self._on_change,
            self.names.queries("orders"): self._on_orders_query,
            self.names.queries("risk"): self._on_risk_query,
        }
        while not self.stopping:
            streams = {stream: self._seen.get(stream, "0") for stream in handlers}
            for raw, entries in await self.client.xread(streams, block=100) or []:
                stream = raw.decode()
                for entry_id, fields in entries:
                    self._seen[stream] = entry_id
                    await handlers[stream](fields[b"data"])
            self.most_alive = max(self.most_alive, sum(child.alive for child in self.children.values()))

    async def _on_request(self, data: bytes) -> None:
        order = risk_work.decode(data)
        if isinstance(order, ChildAmend):
            self.beyond.append(order)
            names = {"client_order_id": order.client_order_id, "account_id": "acc", "parent_id": order.parent_id}
            await self.tell("risk", ChildRefused, **names, amend=True, error_code="APPROVAL_EXCEEDED", error="no")
            return
        self.asked.append(order)
        if self.silent:
            return
        child_id = order.client_order_id
        known = self.children.get(child_id)
        if known is not None:
            await self.told(child_id, "snapshot" if known.alive else known.state)
        elif self.refuse is not None or (order.expires_at_ms or 0) < now_ms():
            code = self.refuse or "EXPIRED_COMMAND"
            names = {"client_order_id": child_id, "account_id": order.account_id, "parent_id": order.parent_id}
            await self.tell("risk", ChildRefused, **names, error_code=code, error=f"refused: {code}")
        else:
            self.children[child_id] = Child(order, order.price)
            if child_id in self.tombstones:
                await self.cancel(child_id)
                return
            await self.told(child_id, "accepted")
            if order.order_type == "MARKET":
                await self.fill(child_id, str(order.quantity))
                if order.reduce_only:
                    self.account = ACCOUNT  # all of it is closed
                    await self.account_is("ACTIVE")

    async def _on_change(self, data: bytes) -> None:
        work = order_work.decode(data)
        child = self.children.get(work.client_order_id)
        if isinstance(work, CancelOrder):
            self.cancels.append(work)
            if child is None:
                self.tombstones.add(work.client_order_id)
            elif not child.alive:
                await self.told(work.client_order_id, "snapshot")
            elif not self.silent:
                await self.cancel(work.client_order_id)
        elif isinstance(work, AmendOrder) and child is not None and child.alive:
            self.amends.append(work)
            child.price = work.price
            child.version += 1
            await self.told(work.client_order_id, "amended")

    async def _on_orders_query(self, data: bytes) -> None:
        request = snapshot_request.decode(data)
        await self.tell("orders", SnapshotBegin, asker=request.asker, token=request.token)
        await self.tell("orders", Reference, symbols=SPECS, maker_fee=D("0.0002"), taker_fee=D("0.0005"))
        for child_id, child in self.children.items():
            if child.alive:
                await self.told(child_id, "snapshot")
        self.lookups += 1
        await self.tell("orders", SnapshotEnd, asker=request.asker, token=request.token)

    async def _on_risk_query(self, data: bytes) -> None:
        request = snapshot_request.decode(data)
        await self.tell("risk", SnapshotBegin, asker=request.asker, token=request.token)
        await self.account_is("ACTIVE")
        await self.tell("risk", SnapshotEnd, asker=request.asker, token=request.token)

    async def account_is(self, status: str) -> None:
        facts = {"account_id": "acc", "name": "A", "status": status, "version": self._n["risk"]}
        await self.tell("risk", AccountState, **facts, snapshot=msgspec.Raw(self.account))

    async def control(self, action: Control, token: str, symbol: str = "") -> None:
        request = ControlAlgos(token=token, account_id="acc", symbol=symbol, action=action)
        await self.client.xadd(self.names.requests("algos"), {"data": encode(request)})

    async def controlled(self, token: str) -> list[tuple[str, ...]]:
        return [u.algos for u in await self.updates() if getattr(u, "token", None) == token and hasattr(u, "algos")]

    # -- JS

    async def send(self, type_: str, **body: object) -> None:
        await self.client.xadd(self.names.cmd(type_), {"data": json.dumps(body)})

    async def chase(self, request_id: str, **changes: object) -> None:
        body = {"subAccountId": "acc", "symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 5}
        body["expiresAt"] = now_ms() + PATIENCE_S * 1000
        await self.send("chase", **{**body, "requestId": request_id, **changes})

    async def result(self, request_id: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self.client.get(self.names.result(request_id))) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return json.loads(found)

    async def updates(self) -> list[Any]:
        entries = await self.client.xrange(self.names.updates("algos"))
        return [algos_updates.decode(update) for _, fields in entries for update in updates_in(fields)]

    async def events(self, type_: str) -> list[dict[str, Any]]:
        found = [u for u in await self.updates() if getattr(u, "type", None) == type_]
        return [json.loads(bytes(u.payload)) for u in found]

    async def until(self, what: Any, within_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(within_s):
            while True:
                found = what()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
                await asyncio.sleep(0.01)

    @property
    def alive(self) -> list[str]:
        return [child_id for child_id, child in self.children.items() if child.alive]

    @property
    def executed(self) -> Decimal:
        return sum((child.executed for child in self.children.values()), D(0))


@pytest.fixture
async def world(redis_url: str, names: Names) -> AsyncIterator[World]:
    # a test blocks this loop while it starts the process, on a busy machine longer than the client's own timeouts
    client = redis.asyncio.Redis.from_url(redis_url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
    made = World(client, names)
    running = asyncio.create_task(made.run())
    yield made
    made.stopping = True
    await running
    await client.aclose()


@pytest.fixture
async def algos(redis_url: str, database: str, names: Names, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    connection = await connect(database)
    await connection.execute("TRUNCATE pms_algos.algos, pms_algos.cursors")  # the database is the module's
    await connection.close()
    environment = {
        "PMS_REDIS_URL": redis_url,
        "PMS_DATABASE_URL": database,
        "PMS_NAMESPACE": names.namespace,
        "PMS_ALGOS_METRICS_PORT": "0",
    }
    process = ServiceProcess("algos", environment, tmp_path / "algos.log")
    yield process
    process.stop()


@pytest.fixture
async def market(world: World) -> AsyncIterator[dict[str, float]]:
    """A price that is repeated as the feed does; change it in the dict."""
    prices = {"bid": 100.0, "ask": 100.1}

    async def repeat() -> None:
        while not world.stopping:
            await world.tick(prices["bid"], prices["ask"])
            await asyncio.sleep(0.05)

    task = asyncio.create_task(repeat())
    yield prices
    world.stopping = True  # not a cancel: the Redis client may swallow one that meets a reply
    await task
