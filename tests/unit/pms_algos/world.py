"""The whole algos service but its I/O, in a world that can kill it between any two effects.

The process is real but for its I/O (`life`). In place of the rest: Redis (what a stretch adds leaves together or not at
all; what was not acknowledged comes again), PostgreSQL (a batch is committed or not), the clock, and what risk and
orders would say: approval once by name, reduce-only by position, a tombstone for what is cancelled unseen, each final
state told once and again when asked.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.pms_algos.build import NONE, D, spec
from tests.unit.pms_algos.life import NAMES, Item, Life, Loop

from pms_algos.app.kinds import KINDS
from pms_common.contracts.bus.algos import AlgosControlled, ControlAlgos
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.common import PublicEvent, Tick
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, Fill, OrderUpdate, OrderView, order_work
from pms_common.contracts.bus.risk import AccountState, ChildAmend, ChildOrder, ChildRefused, risk_work
from pms_common.contracts.bus.streams import algos_updates

ACCOUNT = "acc"


class Killed(Exception):
    """kill -9."""


@dataclass
class Order:
    """A child as the order service knows it."""

    asked: ChildOrder
    price: Decimal | None
    state: str = "placing"
    executed: Decimal = NONE
    cost: Decimal = NONE
    version: int = 0

    @property
    def alive(self) -> bool:
        return self.state not in FINAL_STATES

    @property
    def left(self) -> Decimal:
        return self.asked.quantity - self.executed


class World:
    """Everything that outlives the process. `kill_at` is the number of the effect at which it dies."""

    def __init__(self, kill_at: int = -1, symbols: tuple[str, ...] = ("BTCUSDT",), **filters: object) -> None:
        self.loop = Loop()
        self.ahead_ms = 0
        """How far the wall clock was set away from the one that no step moves."""
        self.asked_ms: dict[str, int] = {}
        """When an order came, by the latter."""
        self.specs = {symbol: spec(symbol=symbol, **filters) for symbol in symbols}
        self.quotes = {symbol: (D("100.0"), D("100.1")) for symbol in symbols}
        self.kill_at, self.effects, self.kills = kill_at, 0, 0
        self.table: dict[str, tuple[Any, ...]] = {}
        self.marks: list[tuple[bytes, dict[bytes, bytes]]] = []
        self.items: list[Item] = []
        self.orders: dict[str, Order] = {}
        self.tombstones: set[str] = set()
        self.requests: list[bytes] = []
        self.changes: list[bytes] = []
        self.most_owners = 0
        """Of how many algos orders were alive at the same time."""
        self.cancels_lost = 0
        """How many of the next cancels nobody carries out."""
        self.amends_lost = 0
        """How many of the next amendments are lost with their line."""
        self.refused: dict[str, str] = {}
        self.refuse: Callable[[ChildOrder], str | None] = lambda _: None
        self.crosses = True
        """Whether what crosses the book is executed at once, and all of it."""
        self.expires: Decimal | None = None
        """How much of a market order the book holds; the rest expires."""
        self.positions: dict[str, Decimal] = {}
        self.entries: dict[str, Decimal] = {}
        self.position_ids: dict[str, str] = {}
        self.status = "ACTIVE"
        self.results: dict[str, list[bytes]] = {}
        self.events: dict[str, PublicEvent] = {}
        self.controlled: list[AlgosControlled] = []
        self.hash: dict[str, dict[str, bytes]] = {}
        self.silent_account = False
        self.database_stands = False
        """Whether nothing is committed for now."""
        self.ticks: deque[Tick] = deque(maxlen=100)
        """What the stream of prices still holds."""
        self._n = self._flips = 0
        self.life = self._born()
        with self.mortal():
            self._know_accounts()

    @property
    def now_ms(self) -> int:
        """The wall clock."""
        return self.loop.now_ms + self.ahead_ms

    # -- life and death

    def _born(self) -> Life:
        self.loop.clear()
        return Life(self)

    def effect(self, happen: Callable[[], None]) -> None:
        """Something that outlives the process. It may die before and after it."""
        for after in (False, True):
            if after:
                happen()
            if self.effects == self.kill_at:
                self.effects += 1
                raise Killed
            self.effects += 1

    def restart(self) -> None:
        """A new process: what was not acknowledged comes again, then all that lives is told, then it goes on."""
        self.kills += 1
        self.life = self._born()
        for item in [item for item in self.items if not item.acked]:
            if item.stream != "commands":
                self._hand_in(item)
        for child_id, order in list(self.orders.items()):
            if order.alive and order.state != "placing":
                self._hand_in(self._item("orders", b"", _told(self._view(child_id, "snapshot"))))
        self.reconnect()
        for symbol in self.quotes:
            self._tick(symbol)
        self.life.engine.lookup_done()
        self._flush()
        self._know_accounts()
        for item in [item for item in self.items if not item.acked and item.stream == "commands"]:
            self._hand_in(item)

    def _know_accounts(self) -> None:
        self.tell_account()
        self.life.controls.accounts_known()
        self._flush()

    @contextmanager
    def mortal(self) -> Iterator[None]:
        """Within, the process may die: it is started again, and dies no second time."""
        asyncio.events._set_running_loop(self.loop)  # type: ignore[arg-type]
        try:
            try:
                yield
            except Killed:
                self.restart()
                self._settle()
                self._match()
        finally:
            asyncio.events._set_running_loop(None)

    def kill(self) -> None:
        """Now, whatever is under way."""
        with self.mortal():
            raise Killed

    # -- what it does

    def _flush(self) -> None:
        added, self.life.paper.added = self.life.paper.added, []
        if added:
            self.effect(lambda: self._arrive(added))

    def passing(self, stream: str, data: bytes) -> None:
        """An amendment leaves at once."""
        assert stream == NAMES.changes("orders")
        if self.amends_lost:
            self.amends_lost -= 1
        else:
            self.effect(lambda: self.changes.append(data))

    def _arrive(self, added: list[tuple[Any, ...]]) -> None:
        for kind, *words in added:
            if kind == "ack":
                words[0].acked = True
            elif kind == "set":
                self.results.setdefault(words[0].rpartition(":")[2], []).append(words[1])
            elif kind == "command":
                self._command(*words)
            elif words[0] == NAMES.marks("algos"):
                self.marks.append((b"%d-%d" % (self.loop.now_ms, len(self.marks)), {b"data": words[1]}))
            elif words[0] == NAMES.requests("risk"):
                self.requests.append(words[1])
            elif words[0] == NAMES.changes("orders"):
                self.changes.append(words[1])
            elif words[0] == NAMES.updates("algos"):
                self._told(words[1])
        self.items = [item for item in self.items if not item.acked]

    def _command(self, name: str, key: str, *words: Any) -> None:
        if name == "HSET":
            self.hash.setdefault(key, {})[words[0]] = words[1]
        elif name == "HDEL":
            for word in words:
                self.hash.get(key, {}).pop(word, None)

    def _told(self, data: bytes) -> None:
        update = algos_updates.decode(data)
        if isinstance(update, PublicEvent):
            known = self.events.setdefault(update.key, update)
            assert known.type == update.type
            algo_id, *part, cause = update.key.split(":")
            if cause == "end":
                saved = self.state(algo_id)
                assert part or saved.outcome is not None, "told before it is durable"
                alive = {chase.plan.algo_id for chase in KINDS[self.table[algo_id][1]].chases(saved)} if part else ()
                assert ":".join((algo_id, *part)) not in alive, "told before it is durable"
                assert _facts(known) == _facts(update), "told twice differently"
        elif isinstance(update, AlgosControlled):
            self.controlled.append(update)

    async def read_marks(self, stream: str, min: str, count: int) -> Any:
        return [] if min.startswith("(") else self.marks

    def _commit(self) -> None:
        journal = self.life.journal
        rows, callbacks = journal.rows, journal.callbacks
        journal.rows, journal.callbacks = [], []

        def write() -> None:
            for row in rows:
                known = self.table.get(row[0])
                if known is None or (known[4] < row[4] and known[5] is None):
                    self.table[row[0]] = row

        self.effect(write)
        for callback in callbacks:
            callback()
            self._flush()

    def _settle(self) -> None:
        """Until nobody has anything to do at this instant."""
        for _ in range(500):
            self._flush()
            if (self.life.journal.rows or self.life.journal.callbacks) and not self.database_stands:
                self._commit()
            elif self.requests:
                self._risk(self.requests.pop(0))
            elif self.changes:
                self._change(self.changes.pop(0))
            elif not self._timers(self.loop.now_ms):
                return
        raise AssertionError("it never comes to rest")

    def _timers(self, until_ms: int) -> bool:
        any_ran = False
        for call in self.loop.due(until_ms):
            any_ran = True
            call()
            self._flush()
        return any_ran

    # -- delivering

    def _item(self, stream: str, data: bytes, deliver: Callable[[Life, Item], None]) -> Item:
        self._n += 1
        return Item(f"{self.now_ms}-{self._n}", stream, data, deliver)

    def _hand_in(self, item: Item) -> None:
        item.deliver(self.life, item)
        self._flush()

    def _send(self, stream: str, data: bytes, deliver: Callable[[Life, Item], None]) -> None:
        item = self._item(stream, data, deliver)
        self.items.append(item)
        self._hand_in(item)

    def send(self, type_: str, request_id: str = "r1", account: str = ACCOUNT, **body: object) -> None:
        """A command of JS."""
        body = {"subAccountId": account, "requestId": request_id, **body}

        def deliver(life: Life, item: Item) -> None:
            entry: Any = item
            life.routes[NAMES.cmd(type_)](entry)

        with self.mortal():
            self._send("commands", json.dumps(body).encode(), deliver)
            self._settle()

    def control(self, action: Any, symbol: str = "", token: str = "t", *, unread: bool = False, **more: Any) -> None:
        """What risk asks, or orders; `unread`: it waits for the next life."""
        request = ControlAlgos(token=token, account_id=ACCOUNT, symbol=symbol, action=action, **more)

        def deliver(life: Life, item: Item) -> None:
            life.controls.control(request, lambda: life.paper.ack(item))

        if unread:
            self.items.append(self._item("control", b"", deliver))
            return
        with self.mortal():
            self._send("control", b"", deliver)
            self._settle()

    def operate(self, **body: object) -> None:
        """An operator sets the trading state."""

        def deliver(life: Life, item: Item) -> None:
            entry: Any = item
            life.operators(entry)

        with self.mortal():
            self._send("operators", json.dumps(body).encode(), deliver)
            self._settle()

    def reconnect(self) -> None:
        """The reader of prices begins, or begins again."""
        take = self.life.engine.missed()
        if take is not None:
            take(list(self.ticks))

    def result(self, request_id: str = "r1") -> dict[str, Any]:
        """The one answer of a request, however often it was told."""
        (only,) = set(self.results[request_id])
        found: dict[str, Any] = json.loads(only)
        return found

    def told(self, type_: str) -> list[dict[str, Any]]:
        """The events of a type, repeats dropped."""
        return [json.loads(bytes(event.payload)) for event in self.events.values() if event.type == type_]

    def state(self, algo_id: str) -> Any:
        """What PostgreSQL has of an algo."""
        row = self.table[algo_id]
        return msgspec.json.decode(row[6], type=KINDS[row[1]].state)

    # -- time and the market

    def pass_ms(self, ms: int) -> None:
        """Time passes; the feed repeats its prices each second."""
        end = self.loop.now_ms + ms
        while True:
            with self.mortal():
                self._timers(min(end, self.loop.now_ms + 1_000))
                for symbol in self.quotes:
                    self._tick(symbol)
                self._settle()
            if self.loop.now_ms >= end:
                return

    def quote(self, bid: Decimal | str, ask: Decimal | str, symbol: str = "BTCUSDT") -> None:
        """The market moves, and takes with it what rests in its way."""
        self.quotes[symbol] = D(bid), D(ask)
        with self.mortal():
            self._tick(symbol)
            self._settle()
            self._match()

    def _match(self) -> None:
        """What rests in the market's way is executed."""
        for child_id in self.resting if self.crosses else ():
            if self.orders[child_id].state != "placing":
                self._cross(child_id)
        self._settle()

    def _tick(self, symbol: str) -> None:
        self.life.engine.tick(self._sent(symbol, *self.quotes[symbol]))
        self.life.commands.told()
        self._flush()

    def _sent(self, symbol: str, bid: Decimal, ask: Decimal) -> Tick:
        self._n += 1
        now = self.now_ms
        tick = Tick(symbol, float(bid), 1.0, float(ask), 1.0, now, now * 1000, self._n, now, now)
        self.ticks.append(tick)
        return tick

    def miss(self, bid: Decimal | str, ask: Decimal | str, symbol: str = "BTCUSDT") -> None:
        """The market moves and comes back before the process sees it."""
        self._sent(symbol, D(bid), D(ask))

    # -- risk

    def _risk(self, data: bytes) -> None:
        work = risk_work.decode(data)
        name = work.client_order_id
        if isinstance(work, ChildAmend):
            self._refusal(work, "APPROVAL_EXCEEDED")
            return
        if name in self.orders:
            self._tell_order(name, "snapshot")
            return
        code = self.refused.get(name) or self._verdict(work)
        if code is not None:
            self.refused[name] = code
            self._refusal(work, code)
            return
        if work.reduce_only and work.order_type == "MARKET":
            work = self._made_way(work)
        self.orders[name] = order = Order(work, work.price)
        self.asked_ms[name] = self.loop.now_ms
        if name in self.tombstones:
            order.state = "cancelled"
            self._tell_order(name, "cancelled")
            return
        order.state = "active"
        self.most_owners = max(self.most_owners, len({live.asked.parent_id for live in self.live}))
        self._tell_order(name, "accepted")
        if self.crosses:
            self._cross(name)

    def _verdict(self, child: ChildOrder) -> str | None:
        if (child.expires_at_ms or 0) < self.now_ms:
            return "EXPIRED_COMMAND"
        closes = child.reduce_only and child.order_type == "MARKET"
        if child.reduce_only and child.quantity > self.closable(child.symbol, child.side, unclaimed=not closes):
            return "REDUCE_ONLY_REJECTED"
        return self.refuse(child)

    def _made_way(self, child: ChildOrder) -> ChildOrder:
        """A close sends what nobody claims, and what rests in its way is cancelled."""
        free = self.closable(child.symbol, child.side)
        for name in [name for name in self.resting if self.orders[name].asked.reduce_only]:
            self.end(name, "cancelled")
        return msgspec.structs.replace(child, quantity=min(child.quantity, free or child.quantity))

    def closable(self, symbol: str, side: str, *, unclaimed: bool = True) -> Decimal:
        """Position, or of that what live closers do not claim."""
        held = self.positions.get(symbol, D(0)) * (1 if side == "SELL" else -1)
        if not unclaimed:
            return max(held, D(0))
        closers = [o for o in self.live if o.asked.reduce_only and (o.asked.symbol, o.asked.side) == (symbol, side)]
        claimed = sum((order.left for order in closers), D(0))
        return max(held, D(0)) - claimed

    def _refusal(self, work: ChildOrder | ChildAmend, code: str) -> None:
        refusal = ChildRefused(
            epoch=1,
            n=1,
            client_order_id=work.client_order_id,
            account_id=ACCOUNT,
            parent_id=work.parent_id,
            amend=isinstance(work, ChildAmend),
            error_code=code,
            error=f"refused: {code}",
        )
        self._send("risk", b"", lambda life, item: life.children.refused(refusal, item))  # type: ignore[arg-type]

    def tell_account(self) -> None:
        """Risk tells the account."""
        if self.silent_account:
            return
        positions = [
            {
                "id": self.position_ids[symbol],
                "symbol": symbol,
                "side": "LONG" if quantity > 0 else "SHORT",
                "entryPrice": self.entries[symbol],
                "quantity": abs(quantity),
                "margin": 1,
                "leverage": 5,
            }
            for symbol, quantity in self.positions.items()
            if quantity
        ]
        body = {"balance": 1000, "equity": 1000, "marginUsed": 0, "availableMargin": 1000, "positions": positions}
        raw = msgspec.Raw(msgspec.json.encode(body, enc_hook=float))
        self._n += 1
        names = {"account_id": ACCOUNT, "name": "A", "status": self.status, "version": self._n}
        self.life.controls.account(AccountState(epoch=1, n=self._n, snapshot=raw, **names))  # type: ignore[arg-type]
        self.life.commands.told()
        self._flush()

    def account_is(self, status: str) -> None:
        """An operator, or a liquidation, changes the account's status."""
        self.status = status
        with self.mortal():
            self.tell_account()
            self._settle()

    def hold(self, quantity: Decimal | str, symbol: str = "BTCUSDT", price: Decimal | str = "100") -> None:
        """The account's position changes without the algos: opened, enlarged, reduced, closed or flipped."""
        self._move(symbol, D(quantity) - self.positions.get(symbol, D(0)), D(price))
        with self.mortal():
            self.tell_account()
            self._settle()

    def _move(self, symbol: str, change: Decimal, price: Decimal) -> None:
        before = self.positions.get(symbol, D(0))
        after = before + change
        if not before or before * after < 0:
            self._flips += 1
            self.position_ids[symbol], self.entries[symbol] = f"pos_{symbol}_{self._flips}", price
        elif abs(after) > abs(before):
            self.entries[symbol] = (self.entries[symbol] * before + price * change) / after
        self.positions[symbol] = after

    # -- orders

    def _change(self, data: bytes) -> None:
        work = order_work.decode(data)
        if self.cancels_lost and isinstance(work, CancelOrder):
            self.cancels_lost -= 1
            return
        order = self.orders.get(work.client_order_id)
        if isinstance(work, CancelOrder):
            if order is None:
                self.tombstones.add(work.client_order_id)
            elif not order.alive:
                self._tell_order(work.client_order_id, "snapshot")
            else:
                self.end(work.client_order_id, "cancelled")
        elif isinstance(work, AmendOrder) and order is not None and order.alive:
            order.price = work.price
            self._tell_order(work.client_order_id, "amended")
            if self.crosses:
                self._cross(work.client_order_id)

    def _cross(self, name: str) -> None:
        order = self.orders[name]
        bid, ask = self.quotes[order.asked.symbol]
        touch = ask if order.asked.side == "BUY" else bid
        price = order.price
        if price is not None and (price < ask if order.asked.side == "BUY" else price > bid):
            return
        if price is None and self.expires is not None:
            quantity = min(self.expires, order.left)
            if quantity:
                self.fill(name, quantity, touch)
            if order.alive:
                self.end(name, "expired")
            return
        self.fill(name, order.left, touch if price is None else price)

    def fill(self, name: str, quantity: Decimal, price: Decimal | None = None) -> None:
        """An execution."""
        order = self.orders[name]
        price = price if price is not None else order.price
        assert price is not None
        quantity = min(quantity, order.left)
        order.executed += quantity
        order.cost += quantity * price
        order.state = "filled" if not order.left else "active"
        symbol = order.asked.symbol
        self._move(symbol, quantity if order.asked.side == "BUY" else -quantity, price)
        fill = Fill(
            trade_id=self._n,
            price=price,
            quantity=quantity,
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=True,
            trade_ms=self.loop.now_ms,
        )
        self._tell_order(name, "fill", fill=fill)
        self.tell_account()

    def end(self, name: str, state: str, **more: Any) -> None:
        """It ends without being filled."""
        self.orders[name].state = state
        self._tell_order(name, state, **more)

    def happens(self, call: Callable[[], None]) -> None:
        """Something at the exchange, and what follows from it."""
        with self.mortal():
            call()
            self._settle()

    def _view(self, name: str, cause: str, **more: Any) -> OrderUpdate:
        order, asked = self.orders[name], self.orders[name].asked
        order.version += 1
        view = OrderView(
            client_order_id=name,
            account_id=asked.account_id,
            symbol=asked.symbol,
            side=asked.side,
            order_type=asked.order_type,
            quantity=asked.quantity,
            price=order.price,
            leverage=asked.leverage,
            parent_id=asked.parent_id,
            origin=asked.origin,
            reduce_only=asked.reduce_only,
            state=order.state,  # type: ignore[arg-type]
            executed_quantity=order.executed,
            average_price=order.cost / order.executed if order.executed else None,
            version=order.version,
            created_ms=1,
            updated_ms=self.loop.now_ms,
        )
        key = f"{name}:{cause}:{order.version}"
        return OrderUpdate(
            epoch=1,
            n=1,
            key=key,
            cause=cause,
            order=view,
            event_ms=self.loop.now_ms,
            **more,  # type: ignore[arg-type]
        )

    def _tell_order(self, name: str, cause: str, **more: Any) -> None:
        self._send("orders", b"", _told(self._view(name, cause, **more)))

    # -- the truth

    @property
    def live(self) -> list[Order]:
        return [order for order in self.orders.values() if order.alive]

    @property
    def resting(self) -> list[str]:
        return [name for name, order in self.orders.items() if order.alive]

    @property
    def executed(self) -> Decimal:
        return sum((order.executed for order in self.orders.values()), D(0))

    @property
    def cost(self) -> Decimal:
        return sum((order.cost for order in self.orders.values()), D(0))


def _facts(event: PublicEvent) -> dict[str, Any]:
    """What an event tells but when, with which snapshot, and whose word it was."""
    told: dict[str, Any] = json.loads(bytes(event.payload))
    return {name: value for name, value in told.items() if name not in {"timestamp", "account", "clientOrderId"}}


def _told(update: OrderUpdate) -> Callable[[Life, Item], None]:
    return lambda life, item: life.children.told(update, item)  # type: ignore[arg-type]
