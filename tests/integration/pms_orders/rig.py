"""The order service up to its door to the exchange: bus and journal are real, what the exchange says is said here."""

import asyncio
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from tests.unit.pms_orders.orders import place, spec

from pms_common.answers import Answers
from pms_common.bus import Bus, UpdatesWriter, updates_in
from pms_common.clock import now_ms
from pms_common.contracts.bus.base import Message, encode
from pms_common.contracts.bus.orders import AmendOrder, OrderUpdate, PlaceOrder
from pms_common.contracts.bus.streams import orders_updates
from pms_common.db import GroupCommit, create_engine, take_epoch
from pms_common.db.group_commit import MAX_ROWS
from pms_common.inlet import CommandInlet
from pms_common.marks import Marks
from pms_common.names import Names
from pms_common.rate.window import Window
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import VenueUnreachable
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_rest import TradingRest
from pms_orders.adapters.binance.trading_socket import TradingSocket
from pms_orders.adapters.binance.transport import Sent, Transport
from pms_orders.adapters.journal import STATEMENTS, Journal
from pms_orders.adapters.pending_orders import adopt
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.cancels import Cancels
from pms_orders.app.intake import Intake
from pms_orders.app.manager import OrderManager
from pms_orders.app.outcomes import Outcomes
from pms_orders.app.publisher import Publisher
from pms_orders.app.readiness import Readiness
from pms_orders.app.retelling import Retelling
from pms_orders.app.rules import Rules
from pms_orders.app.sender import Sender
from pms_orders.app.snapshots import Snapshots
from pms_orders.app.startup import recover, tombstones
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import Operation, OrderState
from pms_orders.domain.rate import Budget
from pms_orders.domain.reducer import depart
from pms_orders.domain.tracker import OrderTracker
from pms_orders.main import URGENT, WORK

SERVICE = "orders"
WAIT_S = 10.0


class Rig:
    """One life of it. `kill` ends it as a crash does: what is not in Redis or PostgreSQL is lost."""

    def __init__(self, names: Names, redis_url: str, database: str) -> None:
        self.names, self.redis_url, self.database = names, redis_url, database
        self.engine = create_engine(database, SERVICE)
        self.incarnation = "first"
        self.max_rows = MAX_ROWS
        self.lost: list[int] = []
        self.vain: list[int] = []
        self.venue_down = False
        self.compared: list[tuple[tuple[str, ...], int]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._ready: dict[str, bool] = {}

    async def start(self) -> "Rig":
        self.bus = await Bus.connect(
            self.redis_url, SERVICE, self.names, lambda part, ok, why: self._ready.__setitem__(part, ok)
        )
        epoch = await take_epoch(self.engine, SERVICE)
        pending = await adopt(self.engine, "native")
        shared = (pending.statement,) if pending else ()
        statements = (*STATEMENTS, *shared)
        self.commits = GroupCommit(self.database, SERVICE, epoch, statements, max_rows=self.max_rows)
        self.writing = self.spawn(self.commits.run(), "journal")
        self.journal = Journal(self.commits, pending)
        self.updates = UpdatesWriter(self.bus.outbox, self.names.updates(SERVICE), epoch)
        self.marks = Marks(self.bus, self.names, SERVICE)
        await self.marks.load(now_ms())
        self.answers = Answers(self.names, self.bus.outbox, self.updates, self.marks)
        self.inlet = CommandInlet(self.bus.outbox, self.marks, self.answers, now_ms)
        buried = tombstones(self.names)
        self.publisher = Publisher(self.updates, self.bus.outbox, self.answers, self.journal, buried)
        self.tracker, self.gates = OrderTracker(), Gates()
        self.manager = OrderManager(
            tracker=self.tracker,
            gates=self.gates,
            specs={"BTCUSDT": spec()},
            publisher=self.publisher,
            journal=self.journal,
            now_ms=now_ms,
        )
        budget = Budget((Window(10_000, 300),), Window(60_000, 2_400))
        self.outcomes = Outcomes(self.manager, budget, lambda: None, now_ms, self.journal)
        venue = (Signer("key", "secret"), VenueClock(), budget)
        heard = (self.outcomes.answered, self.outcomes.lost)
        self.rest = TradingRest("http://127.0.0.1:9", *venue, *heard)
        self.rest.connected = False
        transport = Transport(TradingSocket("ws://127.0.0.1:9/", *venue, *heard), self.rest, lambda ok, why: None)
        self.manager.sender = Sender(budget, self.gates, transport, self.manager.bar, now_ms, {"BTCUSDT": spec()})
        kept = (self.manager, self.gates, self.publisher)
        self.known_ms = await recover(self.engine, self.bus.redis, self.names, *kept)
        await self.read()
        return self

    async def read(self) -> None:
        """Begin to read the streams."""
        self.snapshots = self._snapshots()
        intake = Intake(self.manager, self.gates, self.publisher, self.journal)
        self.cancels = Cancels(
            self.manager, self.gates, self.inlet, self.answers, self.journal, self.marks, self.engine, self.spawn,
            self.bus.outbox, self.names,
        )  # fmt: skip
        urgent = {
            self.names.urgent(SERVICE): intake.work,
            self.names.cmd("cancel"): self.inlet.route("cancel", self.cancels.cancel),
            self.names.cmd("cancel_all"): self.inlet.route("cancel_all", self.cancels.cancel_all),
            self.names.op("trading_state"): intake.trading_state,
        }
        work = {
            self.names.changes(SERVICE): intake.work,
            self.names.requests(SERVICE): intake.work,
            self.names.queries(SERVICE): self.snapshots.query,
        }
        self._streams = [*urgent, *work]
        reads = self.bus.consumer(SERVICE, work, part=WORK, room=self.journal)
        for consumer in (self.bus.consumer(SERVICE, urgent, part=URGENT), reads):
            self.spawn(consumer.run(), "consumer")
        await self.until(lambda: all(self._ready.get(f"consumer:{part}") for part in (URGENT, WORK)))

    def _snapshots(self) -> Snapshots:
        self.retelling = Retelling(
            engine=self.engine,
            journal=self.journal,
            tracker=self.tracker,
            publisher=self.publisher,
            outbox=self.bus.outbox,
            now_ms=now_ms,
            incarnation=lambda: self.incarnation,
            hears=lambda: True,
            on_lost=self.lost.append,
        )
        return Snapshots(
            tracker=self.tracker,
            rules=Rules({"BTCUSDT": spec()}, Decimal("0.0002"), Decimal("0.0004"), False, {}),
            facts=ExchangeFacts(self.updates, now_ms),
            readiness=Readiness(self.updates, lambda part, ok, why: None),
            updates=self.updates,
            publisher=self.publisher,
            outbox=self.bus.outbox,
            retelling=self.retelling,
            told_in_vain=self.vain.append,
            compare=self._compare,
            spawn=self.spawn,
            now_ms=now_ms,
        )

    async def _compare(self, symbols: Sequence[str], since_ms: int) -> None:
        if self.venue_down:
            raise VenueUnreachable("down")
        if symbols:
            self.compared.append((tuple(symbols), since_ms))

    def spawn(self, coro: Any, name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.append(task)
        return task

    async def kill(self) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for writing in self.bus._writing:
            writing.cancel()
        await self.rest.close()
        await self.commits.close()  # its writer has ended, so this writes nothing
        await self.bus.redis.aclose()
        await self.engine.dispose()
        failures = [error for error in ended if isinstance(error, Exception)]
        assert not failures, failures

    # -- asking and hearing

    async def ask(self, stream: str, message: Message | dict[str, Any]) -> str:
        data = encode(message) if isinstance(message, Message) else json.dumps(message).encode()
        entry: Any = await self.bus.redis.xadd(stream, {"data": data})
        return str(entry.decode())

    async def place(self, name: str = "PMS_a_LMT_1", **fields: Any) -> PlaceOrder:
        """Have an order registered; nothing of it is sent, for there is no exchange."""
        asked = place(name, approved_ms=now_ms(), **fields)
        await self.ask(self.names.requests(SERVICE), asked)
        await self.until(lambda: self.tracker.find(name) is not None)
        return asked

    async def accepted(self, name: str = "PMS_a_LMT_1", number: int = 7, **fields: Any) -> OrderState:
        """An order that the exchange has acknowledged."""
        await self.place(name, **fields)
        order = self.tracker.find(name)
        assert order is not None
        self.depart(order, Operation.PLACE, number)
        return order

    def depart(self, order: OrderState, operation: Operation, number: int = 7, answered: bool = True) -> None:
        """The order's next request leaves, and is acknowledged."""
        depart(order, operation, now_ms())
        assert order.flight is not None
        if answered:
            self.outcomes.answered(Sent(operation, order, order.flight), number, None)

    async def amend(self, name: str, price: str, quantity: str = "10") -> str:
        asked = {"client_order_id": name, "account_id": "a", "symbol": "BTCUSDT"}
        message = msgspec.convert({**asked, "price": price, "quantity": quantity}, AmendOrder, strict=False)
        return await self.ask(self.names.changes(SERVICE), message)

    async def pending(self) -> int:
        """Entries that were handed out and are not acknowledged."""
        await self.bus.outbox.flush()
        counts = [await self.bus.redis.xpending(stream, SERVICE) for stream in self._streams]
        return sum(int(count["pending"]) for count in counts)

    async def drained(self) -> None:
        """Wait until every entry is acknowledged."""
        async with asyncio.timeout(WAIT_S):
            while await self.pending():  # noqa: ASYNC110 (Redis is asked)
                await asyncio.sleep(0.01)

    async def until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not true():  # noqa: ASYNC110 (what is waited for happens in this process)
                await asyncio.sleep(0.005)

    async def result(self, request_id: str) -> Any:
        get = partial(self.bus.redis.get, self.names.result(request_id))
        async with asyncio.timeout(WAIT_S):
            while (body := await get()) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return json.loads(body)

    async def told(self) -> list[Any]:
        """Everything on the updates stream."""
        await self.bus.outbox.flush()
        entries: Any = await self.bus.redis.xrange(self.names.updates(SERVICE))
        return [orders_updates.decode(update) for _, fields in entries for update in updates_in(fields)]

    async def told_of(self, name: str) -> list[OrderUpdate]:
        return [u for u in await self.told() if isinstance(u, OrderUpdate) and u.order.client_order_id == name]
