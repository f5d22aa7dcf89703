"""The whole algos service but its I/O, in a world that can kill it between any two effects.

The process is real but for its I/O (`life`). In place of the rest: Redis (what a stretch adds leaves together or not at
all; what was not acknowledged comes again), PostgreSQL (a batch is committed or not), the clock, and what risk and
orders would say (`venue`).
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.pms_algos.build import D, spec
from tests.unit.pms_algos.life import NAMES, Item, Life
from tests.unit.pms_algos.venue import ACCOUNT, Venue, telling

from pms_algos.app.kinds import KINDS
from pms_common.contracts.bus.algos import AlgosControlled, ControlAlgos
from pms_common.contracts.bus.common import PublicEvent, Tick
from pms_common.contracts.bus.risk import AccountState
from pms_common.contracts.bus.streams import algos_updates


class Killed(Exception):
    """kill -9."""


class World(Venue):
    """Everything that outlives the process. `kill_at` is the number of the effect at which it dies."""

    def __init__(self, kill_at: int = -1, symbols: tuple[str, ...] = ("BTCUSDT",), **filters: object) -> None:
        super().__init__(symbols)
        self.specs = {symbol: spec(symbol=symbol, **filters) for symbol in symbols}
        self.kill_at, self.effects, self.kills = kill_at, 0, 0
        self.table: dict[str, tuple[Any, ...]] = {}
        self.marks: list[tuple[bytes, dict[bytes, bytes]]] = []
        self.items: list[Item] = []
        self.requests: list[bytes] = []
        self.changes: list[bytes] = []
        self.amends_lost = 0
        """How many of the next amendments are lost with their line."""
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
        self.life = self._born()
        with self.mortal():
            self._know_accounts()

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
                self._hand_in(self._item("orders", b"", telling(self._view(child_id, "snapshot"))))
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

    # -- the account and its orders

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

    def happens(self, call: Callable[[], None]) -> None:
        """Something at the exchange, and what follows from it."""
        with self.mortal():
            call()
            self._settle()


def _facts(event: PublicEvent) -> dict[str, Any]:
    """What an event tells but when, with which snapshot, and whose word it was."""
    told: dict[str, Any] = json.loads(bytes(event.payload))
    return {name: value for name, value in told.items() if name not in {"timestamp", "account", "clientOrderId"}}
