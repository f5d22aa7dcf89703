"""What the tests hold in their hands: risk as a process, and the streams of the order service and the feed around it.

The pooled account is the exact model of the unit tests; what the order service would tell goes to its real stream.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import redis.asyncio
from tests.services import ServiceProcess
from tests.unit.pms_risk.world import Exchange, spec

from pms_cli.embedded import free_port
from pms_common.bus import updates_in
from pms_common.contracts.bus.base import FINAL_STATES, encode
from pms_common.contracts.bus.common import (
    PublicEvent,
    SnapshotBegin,
    SnapshotEnd,
    SnapshotRequest,
    Tick,
    snapshot_request,
)
from pms_common.contracts.bus.orders import (
    AssetBalance,
    CancelOrder,
    ExchangeAccount,
    ExchangePosition,
    OrdersReady,
    OrderUpdate,
    OrderView,
    PlaceOrder,
    Reference,
    order_work,
)
from pms_common.contracts.bus.streams import risk_updates
from pms_common.db import connect
from pms_common.names import Names

WAIT_S = 40.0
D = Decimal
TABLES = (
    *("accounts", "rules", "administered", "positions", "liquidations", "fills", "moves", "flows", "fundings"),
    *("ledger", "house_ledger", "gates", "cursors", "left_out"),
)


async def empty(database: str) -> None:
    """Forget what earlier tests of the module have left in risk's tables and in the JS application's."""
    own = ", ".join(f"pms_risk.{table}" for table in TABLES)
    connection = await connect(database)
    await connection.execute(f"TRUNCATE {own}, sub_accounts, risk_rules CASCADE")
    await connection.close()


class Rig:
    """Risk in a process of its own; everything it talks to by hand."""

    def __init__(self, names: Names, redis_url: str, database: str, log: Path) -> None:
        self.names, self.database = names, database
        self.redis = redis.asyncio.Redis.from_url(redis_url)
        self.exchange = Exchange()
        self.orders: dict[str, OrderView] = {}
        self.prices: dict[str, tuple[float, float]] = {"BTCUSDT": (60_000.0, 60_000.1)}
        self.consume = True
        """Whether approved orders are acknowledged when they are read."""
        self.losing = False
        """Whether what the order service tells is lost with Redis' last second."""
        self.fills: list[OrderUpdate] = []
        self.placed: list[PlaceOrder] = []
        self.cancels: list[str] = []
        self.probe = free_port()
        self._n = itertools.count(1)
        self._requests = itertools.count(1)
        self._open = True
        self._tasks: list[asyncio.Task[None]] = []
        settings = {
            "PMS_NAMESPACE": names.namespace,
            "PMS_REDIS_URL": redis_url,
            "PMS_DATABASE_URL": database,
            "PMS_RISK_METRICS_PORT": str(self.probe),
        }
        self.process = ServiceProcess("risk", settings, log)

    # -- the process

    async def open(self) -> None:
        for stream in (self.names.requests("orders"), self.names.urgent("orders")):
            await self.redis.xgroup_create(stream, "orders", "0", mkstream=True)
        self._tasks = [asyncio.create_task(task()) for task in (self._answer_queries, self._tick, self._take_orders)]
        await self.start()

    async def start(self) -> None:
        self.process.start()
        async with asyncio.timeout(WAIT_S), aiohttp.ClientSession() as http:
            while not await self._ready(http):
                assert self.process.running, self.process.log
                await asyncio.sleep(0.05)

    async def _ready(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"http://127.0.0.1:{self.probe}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    async def close(self) -> None:
        self._open = False
        await asyncio.gather(*self._tasks)
        if self.process.running:
            assert await self.process.end() == 0, self.process.log
        await self.redis.aclose()

    # -- the feed

    async def _tick(self) -> None:
        while self._open:
            await self.tick()
            await asyncio.sleep(0.3)

    async def tick(self) -> None:
        now = int(time.time() * 1000)
        ticks = [Tick(s, bid, 9.0, ask, 9.0, now, 0, 0, now, now) for s, (bid, ask) in self.prices.items()]
        await self.redis.xadd(self.names.ticks, {"data": msgspec.json.encode(ticks)}, maxlen=100)

    # -- the order service

    async def _answer_queries(self) -> None:
        last = "0"
        while self._open:
            for _, entries in await self.redis.xread({self.names.queries("orders"): last}, block=50):
                for entry_id, fields in entries:
                    last = entry_id.decode()
                    await self._snapshot(snapshot_request.decode(fields[b"data"]))
            await asyncio.sleep(0)

    async def _snapshot(self, asked: SnapshotRequest) -> None:
        token = asked.token
        await self.tell(SnapshotBegin(epoch=0, n=0, asker="risk", token=token))
        symbols = [spec("BTCUSDT"), spec("ETHUSDT")]
        await self.tell(Reference(epoch=0, n=0, symbols=symbols, maker_fee=D("0.0002"), taker_fee=D("0.0005")))
        for view in self.orders.values():
            if view.state not in FINAL_STATES:
                await self.update(view, "snapshot")
        for known in self.fills:
            since_ms = [asked.fills_since_ms, asked.compare_since_ms if known.order.symbol in asked.compare else None]
            traded_ms = known.fill.trade_ms if known.fill is not None else 0
            if any(at_ms is not None and traded_ms >= at_ms for at_ms in since_ms):
                await self.tell(msgspec.structs.replace(known, order=self.orders[known.order.client_order_id]))
        await self.tell(self.exchange.facts())
        await self.tell(OrdersReady(epoch=0, n=0, ready=True))
        await self.tell(SnapshotEnd(epoch=0, n=0, asker="risk", token=token))

    async def _take_orders(self) -> None:
        streams: dict[Any, Any] = {self.names.requests("orders"): ">", self.names.urgent("orders"): ">"}
        while self._open:
            if not self.consume:
                await asyncio.sleep(0.01)
                continue
            for stream, entries in await self.redis.xreadgroup("orders", "orders", streams, count=100, block=20):
                for entry_id, fields in entries:
                    work = order_work.decode(fields[b"data"])
                    if isinstance(work, PlaceOrder):
                        self.placed.append(work)
                    elif isinstance(work, CancelOrder):
                        self.cancels.append(work.client_order_id)
                    await self.redis.xack(stream, "orders", entry_id)
            await asyncio.sleep(0)

    async def tell(self, message: Any) -> None:
        message = msgspec.structs.replace(message, epoch=1, n=next(self._n))
        if self.losing:
            return
        await self.redis.xadd(self.names.updates("orders"), {"data": encode(message)})

    async def update(self, view: OrderView, cause: Any, **fields: Any) -> OrderUpdate:
        self.orders[view.client_order_id] = view
        key = fields.pop("key", f"{view.client_order_id}:{cause}:{view.version}")
        update = OrderUpdate(epoch=0, n=0, key=key, cause=cause, order=view, event_ms=int(time.time() * 1000), **fields)
        await self.tell(update)
        return update

    async def rest(self, placed: PlaceOrder) -> OrderView:
        """The exchange has it and it rests."""
        now = int(time.time() * 1000)
        view = OrderView(
            client_order_id=placed.client_order_id,
            account_id=placed.account_id,
            symbol=placed.symbol,
            side=placed.side,
            order_type=placed.order_type,
            quantity=placed.quantity,
            price=placed.price,
            position_side=placed.position_side,
            reduce_only=placed.reduce_only,
            leverage=placed.leverage,
            origin=placed.origin,
            parent_id=placed.parent_id,
            request_id=placed.request_id,
            command=placed.command,
            state="active",
            exchange_order_id=next(self.exchange.orders),
            version=1,
            created_ms=now,
            updated_ms=now,
        )
        await self.update(view, "active")
        return view

    async def fill(self, placed: PlaceOrder, price: str, quantity: str | None = None) -> OrderUpdate:
        """An execution of an order, as the exchange nets it."""
        view = self.orders.get(placed.client_order_id) or await self.rest(placed)
        amount = D(quantity) if quantity is not None else view.quantity - view.executed_quantity
        _, fill = self.exchange.execute(
            placed.account_id,
            placed.symbol,
            placed.side,
            amount,
            D(price),
            commission=(amount * D(price) * D("0.0005")).quantize(D("1E-8")),
        )
        fill = msgspec.structs.replace(fill, trade_ms=int(time.time() * 1000))
        executed = view.executed_quantity + amount
        view = msgspec.structs.replace(
            view,
            executed_quantity=executed,
            average_price=D(price),
            state="filled" if executed == view.quantity else "active",
            version=view.version + 1,
        )
        await self.facts()
        key = f"{view.symbol}:{view.exchange_order_id}:{fill.trade_id}"
        self.fills.append(await self.update(view, "fill", fill=fill, key=key))
        return self.fills[-1]

    async def facts(self) -> None:
        """ACCOUNT_UPDATE: only what a fill has changed, before the fill itself."""
        facts = self.exchange.facts()
        await self.tell(
            ExchangeAccount(
                epoch=0,
                n=0,
                cause="ORDER",
                balances=[AssetBalance(asset=b.asset, wallet=b.wallet) for b in facts.balances],
                positions=[
                    ExchangePosition(
                        symbol=p.symbol,
                        position_side=p.position_side,
                        quantity=p.quantity,
                        entry_price=p.entry_price,
                    )
                    for p in facts.positions
                ],
                event_ms=1,
            )
        )

    async def end(self, placed: PlaceOrder, state: Any, **fields: Any) -> None:
        """It ends without a further execution."""
        view = self.orders[placed.client_order_id]
        await self.update(msgspec.structs.replace(view, state=state, version=view.version + 1), state, **fields)

    # -- JS

    async def send(self, type_: str, **fields: Any) -> str:
        """A command; its request id."""
        request_id = fields.pop("requestId", f"r{next(self._requests)}")
        op = type_ in ("account", "trading_state")
        stream = self.names.op(type_) if op else self.names.cmd(type_)
        await self.redis.delete(self.names.result(request_id))  # of an earlier request with this id
        await self.redis.xadd(stream, {"data": json.dumps({"requestId": request_id, **fields})})
        return request_id

    async def result(self, request_id: str) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            while (found := await self.redis.get(self.names.result(request_id))) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return dict(json.loads(found))

    async def ask(self, type_: str, **fields: Any) -> dict[str, Any]:
        """A command and its result."""
        return await self.result(await self.send(type_, **fields))

    async def create(self, name: str, balance: float = 10_000, **rules: Any) -> str:
        """A funded account with wide limits."""
        made = await self.ask("account", action="create", name=name, balance=balance)
        assert made["success"], made
        wide = {"maxNotionalPerTrade": 10**7, "maxTotalExposure": 10**8} | rules
        assert (await self.ask("account", action="set_rules", subAccountId=made["subAccountId"], **wide))["success"]
        return str(made["subAccountId"])

    async def order(self, at: int = -1, seen: int | None = None) -> PlaceOrder:
        """An approved order that has arrived."""
        wanted = (seen if seen is not None else 0) + 1
        await until(lambda: len(self.placed) >= wanted)
        return self.placed[at]

    # -- looking

    async def events(self) -> list[dict[str, Any]]:
        """Public events so far, repeats left out as the gateway does."""
        found: dict[str, dict[str, Any]] = {}
        for _, fields in await self.redis.xrange(self.names.updates("risk")):
            for update in map(risk_updates.decode, updates_in(fields)):
                if isinstance(update, PublicEvent):
                    found.setdefault(update.key, json.loads(bytes(update.payload)))
        return list(found.values())

    async def event(self, type_: str, count: int = 1) -> dict[str, Any]:
        """The newest event of a type, when there are so many."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [event for event in await self.events() if event["type"] == type_]) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found[-1]

    async def rows(self, query: str) -> list[dict[str, Any]]:
        connection = await connect(self.database)
        try:
            return [dict(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def committed(self, fills: int) -> None:
        """Wait until so many fills are in the database and acknowledged."""
        async with asyncio.timeout(WAIT_S):
            while (await self.rows("SELECT count(*) FROM pms_risk.fills"))[0]["count"] < fills:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            while (await self.redis.xpending(self.names.updates("orders"), "risk"))["pending"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def books(self) -> dict[str, Any]:
        """What the database holds, without times."""
        return {
            "accounts": await self.rows("SELECT id, status, cash FROM pms_risk.accounts ORDER BY id"),
            "positions": await self.rows(
                "SELECT owner, symbol, leg, quantity, cost, realized FROM pms_risk.positions"
                " WHERE closed_ms IS NULL ORDER BY owner, symbol, leg"
            ),
            "fills": await self.rows("SELECT symbol, trade_id, owner, profit FROM pms_risk.fills ORDER BY 1, 2"),
        }

    async def assert_equal(self) -> None:
        """Σ virtual = exchange, per symbol and asset; ledgers are the sums of their entries."""
        sums = await self.rows("SELECT symbol, sum(quantity) AS q FROM pms_risk.positions GROUP BY symbol")
        booked = {row["symbol"]: row["q"] for row in sums if row["q"]}
        assert booked == {symbol: held[0] for (symbol, _), held in self.exchange.positions.items() if held[0]}
        cash = (await self.rows("SELECT coalesce(sum(cash), 0) AS cash FROM pms_risk.accounts"))[0]["cash"]
        house = (await self.rows("SELECT sum(amount) AS a FROM pms_risk.house_ledger WHERE asset = 'USDT'"))[0]["a"]
        assert cash + house == self.exchange.wallets["USDT"]
        unequal = await self.rows(
            "SELECT a.id FROM pms_risk.accounts a LEFT JOIN"
            " (SELECT account_id, sum(amount) AS total FROM pms_risk.ledger GROUP BY account_id) l"
            " ON l.account_id = a.id WHERE a.cash <> coalesce(l.total, 0)"
        )
        assert not unequal


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
