"""A manager, its outcomes and its resolver between a venue whose truth is known and ears that keep what is told.

What is real: the manager and all it decides with. The venue is a model that executes what arrives and says what it is
told to say; the test decides which request arrives, which answer and which event is heard, when, and how often.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from tests.unit.pms_orders.orders import NOW, spec

from pms_common.bus import Entry
from pms_common.contracts.bus.orders import Fill
from pms_common.rate.window import Window
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import VenueRefused
from pms_orders.adapters.binance.transport import Sent
from pms_orders.app.manager import OrderManager
from pms_orders.app.outcomes import Outcomes
from pms_orders.app.resolver import Resolver
from pms_orders.domain.errors import VenueError
from pms_orders.domain.gates import Gates
from pms_orders.domain.lanes import Lanes
from pms_orders.domain.order import Operation, OrderState, Terms, step
from pms_orders.domain.rate import Budget
from pms_orders.domain.reducer import Announce, Report, depart
from pms_orders.domain.resolution import RECV_WINDOW_MS, settled
from pms_orders.domain.slots import Slots
from pms_orders.domain.table import Kind
from pms_orders.domain.tracker import OrderTracker

_STATUS_KINDS = {"CANCELED": Kind.CANCELLED, "EXPIRED": Kind.EXPIRED}


@dataclass
class VenueOrder:
    """An order as the venue has it."""

    name: str
    number: int
    price: Decimal
    quantity: Decimal
    status: str = "NEW"
    executed: Decimal = Decimal(0)
    trades: dict[int, Decimal] = field(default_factory=dict)
    changed_ms: int = 0

    @property
    def open(self) -> bool:
        return self.status in ("NEW", "PARTIALLY_FILLED")


class Venue:
    """The truth. `feed` holds the events that nobody has heard yet."""

    def __init__(self) -> None:
        self.ms = 0
        self.orders: dict[str, VenueOrder] = {}
        self.past: dict[str, list[VenueOrder]] = {}
        self.feed: list[Report] = []
        self.posts: Counter[str] = Counter()
        self.lag_ms = 0
        self._numbers = itertools.count(7)

    def execute(self, sent: Sent) -> VenueError | None:
        """What arrives is executed or refused; what has been on its way for longer than its window is refused."""
        if NOW + self.ms - sent.flight.sent_ms > RECV_WINDOW_MS:
            return VenueError(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        order = self.orders.get(sent.order.client_order_id)
        if sent.operation is Operation.PLACE:
            return self._place(sent.order)
        if order is None or not order.open:
            return VenueError(400, -2011, "Unknown order sent.")
        if sent.operation is Operation.CANCEL:
            self._change(order, Kind.CANCELLED, status="CANCELED")
            return None
        assert sent.flight.terms is not None
        return self._amend(order, sent.flight.terms)

    def _place(self, order: OrderState) -> None:
        name = order.client_order_id
        self.posts[name] += 1
        assert name not in self.orders, "a second order was executed under one id"
        made = VenueOrder(name, next(self._numbers), order.price or Decimal(0), order.quantity)
        self.orders[name] = made
        self.past[name] = []
        self._change(made, Kind.NEW)

    def _amend(self, order: VenueOrder, terms: Terms) -> VenueError | None:
        if (order.price, order.quantity) == terms:
            return VenueError(400, -5027, "No need to modify the order.")
        if terms.quantity <= order.executed:
            self._change(order, Kind.CANCELLED, status="CANCELED")
        else:
            self._change(order, Kind.AMENDED, price=terms.price, quantity=terms.quantity)
        return None

    def fill(self, name: str, quantity: Decimal) -> None:
        """A trade; what is more than the order has left is not traded."""
        order = self.orders[name]
        quantity = min(quantity, order.quantity - order.executed)
        if not order.open or quantity <= 0:
            return
        number = next(self._numbers)
        order.trades[number] = quantity
        executed = order.executed + quantity
        status = "FILLED" if executed == order.quantity else "PARTIALLY_FILLED"
        kind = Kind.FILLED if status == "FILLED" else Kind.TRADE
        self._change(order, kind, fill=_fill(number, quantity), executed=executed, status=status)

    def shrink(self, name: str, quantity: Decimal) -> None:
        """Reduce-only orders follow the position; told with the next event only."""
        order = self.orders[name]
        if order.open and order.executed < quantity < order.quantity:
            self._change(order, None, quantity=quantity)

    def _change(self, order: VenueOrder, kind: Kind | None, fill: Fill | None = None, **fields: Any) -> None:
        self.ms += 1
        for name, value in fields.items():
            setattr(order, name, value)
        order.changed_ms = self.ms
        self.past[order.name].append(replace(order, trades=dict(order.trades)))
        if kind is not None:
            self.feed.append(
                Report(
                    kind, "BTCUSDT", order.name, order.number, NOW + self.ms, order.quantity, order.price,
                    order.executed, None, fill, order.status,
                )
            )  # fmt: skip

    # -- its queries, which lag

    def _seen(self, name: str) -> VenueOrder | None:
        seen = [past for past in self.past.get(name, ()) if past.changed_ms <= self.ms - self.lag_ms]
        return seen[-1] if seen else None

    async def order(self, symbol: str, name: str) -> wire.QueriedOrder:
        order = self._seen(name)
        if order is None:
            raise VenueRefused(VenueError(400, -2013, "Order does not exist."))
        return wire.QueriedOrder(
            order_id=order.number, symbol=symbol, status=order.status, client_order_id=name, price=order.price,
            orig_qty=order.quantity, executed_qty=order.executed, update_time=NOW + order.changed_ms,
        )  # fmt: skip

    async def trades_of(self, symbol: str, number: int, _since_ms: int) -> list[wire.AccountTrade]:
        """The list of trades is as late as the orders."""
        orders = [self._seen(name) for name in self.orders]
        (order,) = [order for order in orders if order is not None and order.number == number]
        return [
            wire.AccountTrade(
                symbol=symbol, id=trade_id, order_id=number, price=Decimal(100), qty=quantity, commission=Decimal(0),
                commission_asset="USDT", realized_pnl=Decimal(0), maker=True, time=NOW,
            )
            for trade_id, quantity in order.trades.items()
        ]  # fmt: skip

    async def open_orders(self, symbol: str) -> list[wire.QueriedOrder]:
        orders = [self._seen(name) for name in self.orders]
        return [await self.order(symbol, order.name) for order in orders if order is not None and order.open]


def _fill(number: int, quantity: Decimal) -> Fill:
    return Fill(
        trade_id=number, price=Decimal(100), quantity=quantity, commission=Decimal(0), commission_asset="USDT",
        realized_pnl=Decimal(0), maker=True, trade_ms=NOW,
    )  # fmt: skip


class Ears:
    """Publisher and journal: keeps what is told."""

    def __init__(self) -> None:
        self.told: dict[str, list[tuple[str, Announce]]] = {}
        self.answers: list[str] = []
        self.acknowledged: list[Any] = []
        self.registered_orders: list[str] = []

    def tell(self, order: OrderState, announces: list[Announce]) -> None:
        kept = self.told.setdefault(order.client_order_id, [])
        kept += [(announce.cause, announce) for announce in announces]
        self.answer(order)

    def answer(self, order: OrderState) -> None:
        if not order.answered and order.status != "unknown" and (order.final or order.exchange_order_id is not None):
            order.answered = True
            self.answers.append(order.client_order_id)

    def acknowledge(self, entry: Any) -> None:
        self.acknowledged.append(entry)

    def registered(self, order: OrderState, _raw: bytes) -> None:
        self.registered_orders.append(order.client_order_id)

    def causes(self, name: str) -> list[str]:
        return [cause for cause, _ in self.told.get(name, [])]

    def forget(self) -> None:
        """What was told so far."""
        self.told.clear()
        for kept in (self.answers, self.acknowledged, self.registered_orders):
            kept.clear()

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_fields: None


class Door:
    """The sender without limits: what is to go is taken down in `sent`, or waits in its lane while it is `shut`."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.shut = False
        self.lanes, self.slots = Lanes(), Slots()
        self.sent: list[Sent] = []
        self.later: list[OrderState] = []
        self._now_ms = now_ms

    def enter(self, order: OrderState) -> None:
        if self.shut:
            self.lanes.enter(order)
            return
        operation = step(order)
        if operation is not None:
            depart(order, operation, self._now_ms())
            assert order.flight is not None
            self.sent.append(Sent(operation, order, order.flight))

    def enter_later(self, order: OrderState, _delay_s: float) -> None:
        self.later.append(order)

    def wake(self) -> None:
        later, self.later = self.later, []
        for order in later:
            self.enter(order)


def entry(number: int = 0, suspect: bool = False, ms: int = NOW) -> Entry:
    """A stream entry."""
    tracker: Any = None
    return Entry(tracker, f"{ms}-{number}", b"", {}, suspect, suspect)


class Floor:
    """All of it."""

    def __init__(self) -> None:
        self.venue, self.ears, self.door = Venue(), Ears(), Door(self.now_ms)
        ears: Any = self.ears
        door: Any = self.door
        venue: Any = self.venue
        self.gates = Gates()
        self.manager = OrderManager(
            tracker=OrderTracker(),
            gates=self.gates,
            specs={"BTCUSDT": spec()},
            publisher=ears,
            journal=ears,
            now_ms=self.now_ms,
            ages_ms=lambda: self.venue.ms,
        )
        self.manager.sender = door
        budget = Budget((Window(10_000, 300),), Window(60_000, 2_400))
        self.outcomes = Outcomes(self.manager, budget, lambda: None, self.now_ms, ears, self.now_ms)
        self.resolver = Resolver(self.manager, venue, lambda: self.venue.ms, lambda: None)

    def now_ms(self) -> int:
        return NOW + self.venue.ms

    def pass_time(self, ms: int) -> None:
        self.venue.ms += ms
        self.manager.tick()

    def answer(self, sent: Sent, error: VenueError | None) -> None:
        known = self.venue.orders.get(sent.order.client_order_id)
        self.outcomes.answered(sent, known.number if known is not None and error is None else 0, error)

    def arrive(self, sent: Sent) -> None:
        """The request is executed, and its answer heard."""
        self.answer(sent, self.venue.execute(sent))

    def hear(self, report: Report) -> None:
        self.manager.report([report])

    def poll(self) -> None:
        """The resolver asks about what is due."""
        cases = self.manager.cases
        for case in cases:
            if settled(case.order) and not case.doubted:
                cases.close(case)
        for case in cases.due(self.venue.ms):
            _run(self.resolver._clear_up(case))

    def look(self) -> None:
        """Reconciliation: all live orders that nothing is under way about are asked about."""
        for order in self.manager.tracker.live():
            if order.sent_ms and (order.flight is None or order.flight.lost):
                self.manager.clear_up(order, doubted=True)

    def settle(self) -> None:
        """Let everything arrive and be asked about until nothing is open."""
        self.venue.lag_ms = 0
        for turn in range(25):
            sent, self.door.sent = self.door.sent, []
            for request in sent:
                self.arrive(request)
            self.pass_time(1_000)
            self.door.wake()
            self.poll()
            if turn % 10 == 0:
                self.look()


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """To its end; the model never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise asyncio.InvalidStateError("the model has waited")
