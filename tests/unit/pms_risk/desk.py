"""Risk's handlers around one account, written down instead of sent: what goes to Redis and the journal can be read."""

import json
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec

from pms_common.answers import Answers
from pms_common.bus import Entry, UpdatesWriter
from pms_common.bus.entry import Tracker
from pms_common.contracts.bus.base import Update, encode
from pms_common.contracts.bus.common import PublicEvent, Tick
from pms_common.contracts.bus.orders import Fill, OrderUpdate, OrderView, PlaceOrder, order_work
from pms_common.contracts.bus.risk import ChildOrder
from pms_common.contracts.bus.streams import risk_updates
from pms_common.contracts.errors import CommandError
from pms_common.contracts.parse import parse_command
from pms_common.inlet import CommandInlet, Request, Taken
from pms_common.marks import Marks
from pms_common.names import Names
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.amends import Amends
from pms_risk.app.approvals import Approvals
from pms_risk.app.cash_flows import CashBook
from pms_risk.app.children import Children
from pms_risk.app.clearing import Clearing
from pms_risk.app.closes import Closes
from pms_risk.app.closings import Closings
from pms_risk.app.events import Events
from pms_risk.app.exchange import Exchange
from pms_risk.app.fee_values import FeeValues
from pms_risk.app.first_prices import FirstPrices
from pms_risk.app.foreign_fills import ForeignFills
from pms_risk.app.late import Doubt
from pms_risk.app.liquidation_events import LiquidationEvents
from pms_risk.app.liquidator import Liquidator
from pms_risk.app.order_feed import OrderFeed
from pms_risk.app.sentinel import Sentinel
from pms_risk.app.sets import Sets
from pms_risk.app.state import RiskState
from pms_risk.app.takeovers import Takeovers
from pms_risk.app.trading import Trading
from pms_risk.app.updates import OrdersUpdates
from pms_risk.app.waits import Waits
from pms_risk.app.watches import Watches
from pms_risk.app.watching import Watching
from pms_risk.domain.books import Books
from pms_risk.domain.liquidation.decision import Tiers
from pms_risk.domain.liquidation.watch import Guards
from pms_risk.domain.rules import Rules

from .world import D, account, position_id, spec

_TRACKER = Tracker("s", "risk", "0-0", lambda _: None)
WIDE = Rules(max_notional_per_trade=D(10**7), max_total_exposure=D(10**8))


class Paper:
    """Where the outbox would write."""

    def __init__(self) -> None:
        self.streams: dict[str, list[bytes]] = {}
        self.keys: dict[str, bytes] = {}
        self.acked: list[Entry] = []
        self.hashes: dict[str, dict[str, bytes]] = {}

    def register(self, numbered: Any) -> None:
        """Nothing is rolled back here."""

    def add(self, stream: str, data: bytes, *, maxlen: int | None = None, late: bool = False) -> None:
        self.streams.setdefault(stream, []).append(data)

    tell = add

    def set(self, key: str, value: bytes, ex_s: int | None = None) -> None:
        self.keys[key] = value

    def publish(self, channel: str, payload: bytes) -> None:
        """Nobody listens."""

    def command(self, *words: Any) -> None:
        """What is kept in hashes; marks are read in memory."""
        if words[0] == "HSET":
            self.hashes.setdefault(words[1], {})[words[2]] = words[3]
        elif words[0] == "HDEL":
            self.hashes.get(words[1], {}).pop(words[2], None)

    def ack(self, entry: Entry) -> None:
        self.acked.append(entry)

    async def flush(self, *, late: bool = True) -> None:
        """All is written."""


class Desk:
    """The handlers, an account `a` with 1 000 USDT and wide limits, and a clock that is set by hand."""

    def __init__(self, cash: int = 1_000) -> None:
        self.now_ms = 2_000_000
        self.names = names = Names("t", "t")
        self.paper = Paper()
        outbox: Any = self.paper
        self.state = RiskState(
            books=Books(position_id),
            namespace="t",
            mode="oneway",
            now_ms=lambda: self.now_ms,
            journal_lag_s=lambda: 0.0,
            overloaded=lambda: False,
        )
        self.state.orders_ready = True
        self.state.specs["BTCUSDT"] = spec()
        self.account = account(self.state.books, "a", cash)
        self.account.set_rules(WIDE)
        bus: Any = SimpleNamespace(outbox=outbox)
        commit: Any = SimpleNamespace(has_room=lambda: True, on_room=[])  # the journal is not run
        self.journal = Journal(commit, outbox)
        self.marks = Marks(bus, names, "risk")
        self.updates = UpdatesWriter(outbox, names.updates("risk"), 1)
        self.events = Events(self.updates, self.state.brackets)
        self.answers = Answers(names, outbox, self.updates, self.marks)
        self.doubts: list[Doubt] = []
        self.waits = Waits(self.state, outbox, self.answers, "waits")
        self.approvals = Approvals(self.state, outbox, names)
        self.closings = self.new_closings()
        self.fees = FeeValues(self.state, outbox, self.journal, "fees")
        self.state.books.fee_value = self.fees.value
        self.feed = OrderFeed(
            *(self.state, outbox, self.journal, self.events, self.waits, self.closings),
            *(self.doubts.append, no_answer, self.fees),
        )
        self.exchange = Exchange(self.state, outbox, self.journal, self.events)
        tools = (self.state, outbox, self.journal, self.events, self.doubts.append)
        self.foreign = ForeignFills(*tools[:4], self.closings, *tools[4:], no_answer, self.fees)
        self.cash = CashBook(*tools, no_answer, no_moves)
        self.orders_updates = OrdersUpdates(
            *(self.state, outbox, names, self.marks, self.feed, self.exchange, self.foreign, self.cash)
        )
        self.watching = Watching(self.state, outbox, names)
        self.amends = Amends(
            *(self.state, self.approvals, self.waits, self.closings, self.feed.has_ended, outbox, names)
        )
        self.clearing = Clearing(self.state, self.closings, outbox, names)
        self.closes = Closes(*(self.state, self.approvals, self.waits, self.closings), self.clearing, self.answers)
        inlet = CommandInlet(outbox, self.marks, self.answers, lambda: self.now_ms)
        first_prices = FirstPrices(self.state, self.watching, self.answers, inlet)
        self.trading = Trading(self.state, self.approvals, self.waits, first_prices, self.answers)
        self.sets = Sets(self.state, self.approvals, self.waits, first_prices)
        self.children = Children(self.state, self.approvals, self.closings, self.watching, outbox, self.updates)
        told = LiquidationEvents(self.state, self.events)
        takeovers = Takeovers(self.state, self.journal, self.events)
        self.liquidator = Liquidator(
            self.state, outbox, self.journal, told, self.clearing, self.closings, takeovers, names
        )
        self.feed.on_progress = self.liquidator.on_progress
        self.sentinel = Sentinel(self.state, self.liquidator, told, Watches(outbox, "watches"), Tiers(), Guards())
        self.liquidator.resume()

    def new_closings(self) -> Closings:
        """The closes under way, of a process that has just started."""
        outbox: Any = self.paper
        takeovers = Takeovers(self.state, self.journal, self.events)
        return Closings(self.state, self.approvals, self.waits, takeovers, self.journal, outbox, self.names, "closings")

    def price(self, mid: float = 100.0, at_ms: int | None = None, symbol: str = "BTCUSDT") -> None:
        """A live tick."""
        at_ms = self.now_ms if at_ms is None else at_ms
        self.watching.on_ticks([Tick(symbol, mid - 0.1, 1.0, mid + 0.1, 1.0, at_ms, 0, 0, at_ms, at_ms)])

    def ask(self, at_ms: int = 2_000_000, **changes: Any) -> None:
        """A child order, as algos ask for it."""
        self.children.on_request(entry(encode(child(**changes)), at_ms))

    def hear(self, update: Update, redelivered: bool = False) -> None:
        """One entry of the order service's stream."""
        self.orders_updates.on_entry(entry(encode(update), redelivered=redelivered))
        self.settle_fundings()

    def settle_fundings(self) -> None:
        """The fundings that are due."""
        while not self.cash.due.empty():
            assert self.cash.due.get_nowait()() is None, "nothing here is older than memory"

    def commit(self) -> None:
        """The database has all that was journalled."""
        while self.journal._waiting:
            item = self.journal._waiting.pop(0)
            if callable(item):
                item()

    def send(self, decide: Callable[[Request], Taken], type_: str, **fields: Any) -> None:
        """A command, as the inlet hands it on; a refusal is its result."""
        request = request_of(type_, **fields)
        try:
            decide(request)
        except CommandError as error:
            self.answers.fail(request.request_id, request.account_id, request.type, error)

    def result(self, request_id: str) -> dict[str, Any] | None:
        """What a request was answered, if it was."""
        body = self.paper.keys.get(self.names.result(request_id))
        return json.loads(body) if body is not None else None

    def told(self, kind: type[Update]) -> list[Any]:
        """What risk has told of one kind."""
        updates = map(risk_updates.decode, self.paper.streams.get(self.names.updates("risk"), ()))
        return [update for update in updates if isinstance(update, kind)]

    def events_told(self) -> list[str]:
        """Types of the public events, in order, repeats left out as the gateway does."""
        return [type_ for _, type_ in dict.fromkeys((event.key, event.type) for event in self.told(PublicEvent))]

    def placed(self) -> list[PlaceOrder]:
        """Orders that were sent on."""
        return [work for work in self._sent(self.names.requests("orders")) if isinstance(work, PlaceOrder)]

    def urgent(self) -> list[Any]:
        """What was sent on the urgent way: closes and cancels."""
        return self._sent(self.names.urgent("orders"))

    def _sent(self, stream: str) -> list[Any]:
        return [order_work.decode(data) for data in self.paper.streams.get(stream, ())]


async def no_answer(_: Any) -> bool:
    raise AssertionError("nothing here is older than memory")


async def no_moves(_symbol: str, _at_ms: int, _until_ms: int) -> Any:
    raise AssertionError("nothing here is older than memory")


def entry(data: bytes = b"", at_ms: int = 2_000_000, redelivered: bool = False) -> Entry:
    return Entry(tracker=_TRACKER, id=f"{at_ms}-0", data=data, fields={}, redelivered=redelivered)


def request_of(type_: str, **fields: Any) -> Request:
    parsed = parse_command(type_, json.dumps({"requestId": "r"} | fields).encode(), "2000000-0")
    return Request(
        parsed.command,
        entry(),
        parsed.warnings,
        parsed.body_hash,
        parsed.expires_at_ms,
        parsed.command.traceparent or "",
    )


def child(**changes: Any) -> ChildOrder:
    fields: dict[str, Any] = {
        "client_order_id": "K",
        "account_id": "a",
        "parent_id": "algo",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "order_type": "LIMIT",
        "quantity": D(1),
        "price": D(100),
        "leverage": D(10),
        "origin": "CHASE",
    }
    return ChildOrder(**(fields | changes))


def view(**changes: Any) -> OrderView:
    fields: dict[str, Any] = {
        "client_order_id": "X",
        "account_id": "a",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "order_type": "LIMIT",
        "quantity": D(1),
        "price": D(100),
        "leverage": D(10),
        "state": "active",
        "exchange_order_id": 7,
        "version": 1,
        "created_ms": 0,
        "updated_ms": 0,
    }
    return OrderView(**(fields | changes))


def fill(trade_id: int = 1, quantity: str = "1", trade_ms: int = 5) -> Fill:
    return Fill(
        trade_id=trade_id,
        price=D(100),
        quantity=D(quantity),
        commission=Decimal(0),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        maker=True,
        trade_ms=trade_ms,
    )


def update(cause: Any, order: OrderView, n: int = 1, *, epoch: int = 1, key: str = "", **fields: Any) -> OrderUpdate:
    key = key or f"{order.client_order_id}:{cause}:{order.version}"
    return msgspec.structs.replace(
        OrderUpdate(epoch=epoch, n=n, key=key, cause=cause, order=order, event_ms=1), **fields
    )
