"""The order service from an event of the exchange to its two outputs, the updates stream and the journal.

Owns the wiring: what asks the exchange stays without one, everything an event passes through is the product's own.
Orders are registered as sent, so that the events of a whole life find them. Used by the benchmarks `orders_throughput`
and `orders_memory`.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from pms_common.answers import Answers
from pms_common.bus import Bus, UpdatesWriter
from pms_common.clock import now_ms
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.db import GroupCommit, create_engine, take_epoch
from pms_common.marks import Marks
from pms_common.names import Names
from pms_common.rate.window import Window
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_rest import TradingRest
from pms_orders.adapters.binance.trading_socket import TradingSocket
from pms_orders.adapters.binance.transport import Transport
from pms_orders.adapters.journal import STATEMENTS, Journal
from pms_orders.adapters.pending_orders import adopt
from pms_orders.app.manager import OrderManager
from pms_orders.app.outcomes import Outcomes
from pms_orders.app.publisher import Publisher
from pms_orders.app.sender import Sender
from pms_orders.app.startup import tombstones
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import register
from pms_orders.domain.rate import Budget
from pms_orders.domain.tracker import MAX_ENDED, OrderTracker

SERVICE = "orders"
SYMBOL = "BTCUSDT"
NOWHERE = "127.0.0.1:9"
ACCOUNTS = 100


class Inside:
    """A running one. `heard` counts the events of orders."""

    def __init__(
        self, bus: Bus, commits: GroupCommit, journal: Journal, manager: OrderManager, updates: UpdatesWriter
    ) -> None:
        self.bus = bus
        self.commits = commits
        self.journal = journal
        self.manager = manager
        self.updates = updates
        self.heard = 0

    def place(self, name: str, number: int) -> None:
        """An order that has been sent, of one of a hundred accounts."""
        asked = PlaceOrder(
            client_order_id=name,
            account_id=f"account-{number % ACCOUNTS}",
            symbol=SYMBOL,
            side="BUY",
            order_type="LIMIT",
            quantity=Decimal("0.300"),
            price=Decimal("64000.10"),
            time_in_force="GTC",
            leverage=Decimal(10),
            request_id=name,
            command="limit",
            approved_ms=now_ms(),
        )
        order = register(asked, now_ms())
        order.sent_ms = order.created_ms
        self.manager.tracker.add(order)
        self.journal.registered(order, encode(asked))

    def hear(self, batch: list[wire.FeedEvent]) -> None:
        """What the session does with the events of one read."""
        self.heard += len(batch)
        reports = [wire.feed_report(event) for event in batch if isinstance(event, wire.OrderTradeUpdate)]
        self.manager.report([report for report in reports if report is not None])

    async def written(self) -> None:
        """Wait until Redis has all that was told and PostgreSQL all that was journalled."""
        await self.bus.outbox.flush()
        await self.journal.flush()


@asynccontextmanager
async def inside(redis_url: str, database: str, names: Names, max_ended: int = MAX_ENDED) -> AsyncIterator[Inside]:
    """The service's inside on these servers; the database is migrated."""
    gc.set_threshold(20_000, 20, 50)  # as the service has it
    bus = await Bus.connect(redis_url, SERVICE, names, lambda part, ok, why: None)
    engine = create_engine(database, SERVICE)
    epoch = await take_epoch(engine, SERVICE)
    pending = await adopt(engine, "native")
    assert pending is not None
    commits = GroupCommit(database, SERVICE, epoch, (*STATEMENTS, pending.statement), gather_s=0.05)
    journal = Journal(commits, pending)
    updates = UpdatesWriter(bus.outbox, names.updates(SERVICE), epoch)
    marks = Marks(bus, names, SERVICE)
    publisher = Publisher(updates, bus.outbox, Answers(names, bus.outbox, updates, marks), journal, tombstones(names))
    gates = Gates()
    tracker = OrderTracker(max_ended)
    manager = OrderManager(tracker=tracker, gates=gates, specs={}, publisher=publisher, journal=journal, now_ms=now_ms)
    budget = Budget((Window(10_000, 300),), Window(60_000, 2_400))
    outcomes = Outcomes(manager, budget, lambda: None, now_ms, journal)
    venue = (Signer("key", "secret"), VenueClock(), budget, outcomes.answered, outcomes.lost)
    rest = TradingRest(f"http://{NOWHERE}", *venue)
    transport = Transport(TradingSocket(f"ws://{NOWHERE}/", *venue), rest, lambda ok, why: None)
    manager.sender = Sender(budget, gates, transport, manager.bar, now_ms, {})
    writing = [asyncio.create_task(commits.run()), asyncio.create_task(bus.run())]
    try:
        yield Inside(bus, commits, journal, manager, updates)
    finally:
        await commits.close()
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        await rest.close()
        await bus.close()
        await engine.dispose()
