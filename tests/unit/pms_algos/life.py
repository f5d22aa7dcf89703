"""One process of the algos service without its I/O: what it holds dies with it.

Real: engine, plans, commands, inlet, marks, all messages. In their place: the event loop and its clock (virtual), the
outbox (what a stretch adds leaves together), the journal. What outlives it is its `Outside`.
"""

import heapq
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

from pms_algos.adapters import store
from pms_algos.app.accounts import Accounts
from pms_algos.app.children import Children
from pms_algos.app.clock import Clock
from pms_algos.app.commands import Commands
from pms_algos.app.controls import Controls
from pms_algos.app.engine import Engine
from pms_algos.app.markets import Markets
from pms_algos.app.outputs import Outputs
from pms_algos.app.updates import Updates
from pms_common.answers import Answers
from pms_common.bus import UpdatesWriter
from pms_common.bus.ids import id_ms
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.inlet import CommandInlet
from pms_common.marks import Marks
from pms_common.names import Names

START_MS = 1_700_000_000_000
NAMES = Names("t")


class Loop:
    """Timers of a virtual clock."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self._timers: list[tuple[int, int, Any]] = []
        self._count = 0

    def call_later(self, delay_s: float, call: Callable[..., object], *args: object) -> Any:
        self._count += 1
        timer = SimpleNamespace(call=lambda: call(*args), alive=True)
        timer.cancel = lambda: setattr(timer, "alive", False)
        heapq.heappush(self._timers, (self.now_ms + round(delay_s * 1000), self._count, timer))
        return timer

    def call_soon(self, call: Callable[..., object], *args: object) -> Any:
        return self.call_later(0, call, *args)

    def due(self, until_ms: int) -> Iterator[Callable[[], object]]:
        while self._timers and self._timers[0][0] <= until_ms:
            at_ms, _, timer = heapq.heappop(self._timers)
            self.now_ms = max(self.now_ms, at_ms)
            if timer.alive:
                yield timer.call
        self.now_ms = max(self.now_ms, until_ms)

    def clear(self) -> None:
        self._timers.clear()


@dataclass(eq=False)
class Item:
    """An entry of a stream that the service reads."""

    id: str
    stream: str
    data: bytes
    deliver: Callable[["Life", "Item"], None]
    acked: bool = False
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def ms(self) -> int:
        """When it was written."""
        return id_ms(self.id)


class Paper:
    """The outbox of one life."""

    def __init__(self, passing: Callable[[str, bytes], None]) -> None:
        self.added: list[tuple[Any, ...]] = []
        self.passing = passing
        """What is express arrives at once, before all that was added."""

    def add(self, stream: str, data: bytes, *, maxlen: int | None = None, late: bool = False) -> None:
        self.added.append(("add", stream, data))

    def express(self, stream: str, data: bytes) -> None:
        self.passing(stream, data)

    def tell(self, stream: str, update: bytes) -> None:
        self.added.append(("add", stream, update))

    def set(self, key: str, value: bytes, ex_s: int | None = None) -> None:
        self.added.append(("set", key, value))

    def publish(self, channel: str, payload: bytes) -> None:
        """Whoever listens has the key, too."""

    def command(self, *words: Any) -> None:
        self.added.append(("command", *words))

    def ack(self, entry: Any) -> None:
        self.added.append(("ack", entry))

    def register(self, writer: Any) -> None:
        """Nothing is rolled back."""

    def let_go(self) -> None:
        """The line is never idle."""


class Journal:
    """The group-committed journal of one life."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.callbacks: list[Callable[[], None]] = []

    def add(self, statement: Any, row: tuple[Any, ...]) -> None:
        assert statement is store.SAVE
        self.rows.append(row)

    def then(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


class Outside(Protocol):
    """What a process finds when it begins, and what it tells."""

    loop: Loop
    specs: dict[str, SymbolSpec]
    table: dict[str, tuple[Any, ...]]

    @property
    def now_ms(self) -> int: ...
    async def read_marks(self, stream: str, min: str, count: int) -> Any: ...
    def passing(self, stream: str, data: bytes) -> None: ...


class Life:
    """One process: dies when it is dropped."""

    def __init__(self, world: Outside) -> None:
        self.paper, self.journal = Paper(world.passing), Journal()
        outbox: Any = self.paper
        journal: Any = self.journal
        bus: Any = SimpleNamespace(outbox=outbox, redis=SimpleNamespace(xrange=world.read_marks))
        updates = UpdatesWriter(outbox, NAMES.updates("algos"), 1)
        marks = Marks(bus, NAMES, "algos")
        at_once(marks.load(world.loop.now_ms))
        answers = Answers(NAMES, outbox, updates, marks)

        def wall_ms() -> int:
            return world.now_ms

        clock = Clock(wall_ms, lambda: world.loop.now_ms)
        self.inlet = CommandInlet(outbox, marks, answers, wall_ms)
        self.markets, self.accounts = Markets(), Accounts()
        self.markets.specs.update(world.specs)
        outputs = Outputs(NAMES, outbox, updates, answers, marks, self.markets, self.accounts)
        self.engine = Engine(self.markets, self.accounts, outputs, outbox, journal, clock)
        self.children = Children(self.engine, outputs, outbox, wall_ms)
        self.controls = Controls(self.engine, outputs, journal, wall_ms)
        self.commands = Commands(self.engine, self.controls, self.inlet, answers, NAMES, wall_ms)
        self.routes = self.commands.routes()
        snapshots: Any = SimpleNamespace()
        told = self.commands.told
        handlers = Updates(self.engine, self.children, self.controls, outbox, updates, snapshots, told).handlers(NAMES)
        self.operators = handlers[NAMES.op("trading_state")]
        rows = list(world.table.values())
        running, ended = ([_row(row) for row in rows if (row[5] is not None) is over] for over in (False, True))
        self.engine.resume(store.loaded(running, ended))


def _row(row: tuple[Any, ...]) -> Any:
    return SimpleNamespace(algo_id=row[0], kind=row[1], state=row[6])


def at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never really waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")
