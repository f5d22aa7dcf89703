"""Algos in memory: by id, symbol, account, and by the names of their children.

Owns these indices and how algos that ended lately are remembered. Never steps a plan.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pms_algos.adapters.store import MAX_ENDED
from pms_algos.app.kinds.base import Algo, Kind
from pms_algos.domain.chase_state import ChasePlan
from pms_algos.domain.events import Scene
from pms_common.contracts.bus.base import Side
from pms_common.metrics import counter, gauge

MAX_CHILDREN = 64
"""Names of an algo's children that are recognised beside those under way; what is told of an older one is over."""

_active = gauge("algos_active", "Running algos", ["kind"])
_ended = counter("algos_ended", "Algos that ended", ["kind", "outcome"])

OnEnd = Callable[[Algo], None]
Child = tuple[str, int, int]
"""The id of the chase that works it, its number, its attempt."""


@dataclass(slots=True)
class Running:
    """An algo in memory: its state, what it sees, and what spares looking at it again.

    `after` is the algo that this one replaces, while that has not ended; `failed`: an event could not be carried
    out; `ended_by`: the child whose word ended it; `names`: its children under way, and of those before the newest;
    `durable`: the version that is in the journal.
    """

    kind: Kind
    algo: Algo
    scene: Scene
    symbols: tuple[str, ...]
    side: Side | None
    warnings: tuple[str, ...] = ()
    after: str = ""
    failed: bool = False
    durable: int = 0
    ended_by: str | None = None
    on_end: list[OnEnd] = field(default_factory=list)
    names: dict[Child, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The algo's id."""
        return self.algo.plan.algo_id


Group = dict[str, Running]
_NOTHING: Mapping[Side | None, Group] = {}
_NOBODY: Group = {}


class Algos:
    """All running algos, and how those ended that did so lately."""

    def __init__(self, child_id: Callable[[ChasePlan, int, int], str]) -> None:
        self._child_id = child_id
        self._running: dict[str, Running] = {}
        self._by_symbol: dict[str, dict[Side | None, Group]] = {}
        self._by_account: dict[str, Group] = {}
        self._claims: dict[tuple[str, str], str] = {}
        self._children: dict[str, tuple[Running, Child]] = {}
        self._ended: OrderedDict[str, tuple[Kind, Algo]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        """Over a copy: what is done to one may end another."""
        return iter(tuple(self._running.values()))

    def get(self, algo_id: str) -> Running | None:
        """A running algo."""
        return self._running.get(algo_id)

    def find(self, algo_id: str) -> tuple[Kind, Algo] | None:
        """An algo that runs or ended lately."""
        running = self._running.get(algo_id)
        return (running.kind, running.algo) if running is not None else self._ended.get(algo_id)

    @property
    def symbols(self) -> Iterable[str]:
        """Symbols of running algos."""
        return self._by_symbol.keys()

    def following(self, symbol: str, side: Side | None) -> tuple[Running, ...]:
        """The algos that follow one side's quote of a symbol; None: those that follow both."""
        return tuple(self._by_symbol.get(symbol, _NOTHING).get(side, _NOBODY).values())

    def of_account(self, account_id: str) -> tuple[Running, ...]:
        """The account's algos."""
        return tuple(self._by_account.get(account_id, _NOBODY).values())

    def count(self, account_id: str, kind: Kind) -> int:
        """How many of a kind run for an account."""
        return sum(running.kind is kind for running in self._by_account.get(account_id, _NOBODY).values())

    def claimed(self, kind: Kind, algo: Algo) -> str | None:
        """The algo that has what this one wants for itself alone."""
        return self._claims.get((kind.name, kind.claim(algo)))

    def child(self, child_id: str) -> tuple[Running, Child] | None:
        """Whose child that is."""
        return self._children.get(child_id)

    def add(self, kind: Kind, algo: Algo, scene: Scene, warnings: tuple[str, ...]) -> Running:
        """Take an algo in."""
        running = Running(kind, algo, scene, kind.symbols(algo), kind.side(algo), warnings)
        self._running[running.id] = running
        for symbol in running.symbols:
            self._by_symbol.setdefault(symbol, {}).setdefault(running.side, {})[running.id] = running
        self._by_account.setdefault(algo.plan.account_id, {})[running.id] = running
        if claim := kind.claim(algo):
            self._claims[kind.name, claim] = running.id
        self.name_children(running)
        _active.labels(kind.name).inc()
        return running

    def name_children(self, running: Running) -> None:
        """Know the algo's children by their names, those under way before they are asked for."""
        live: set[Child] = set()
        for chase in running.kind.chases(running.algo):
            child = chase.plan.algo_id, chase.child.number, chase.child.attempt
            live.add(child)
            if child not in running.names:
                name = running.names[child] = self._child_id(chase.plan, *child[1:])
                self._children[name] = running, child
        for child in [child for child in running.names if child not in live][: -MAX_CHILDREN or None]:
            del self._children[running.names.pop(child)]

    def name(self, running: Running, plan: ChasePlan, number: int, attempt: int) -> str:
        """The client order id of a child."""
        return running.names.get((plan.algo_id, number, attempt)) or self._child_id(plan, number, attempt)

    def remove(self, running: Running) -> None:
        """An algo has ended."""
        for symbol in running.symbols:
            sides = self._by_symbol[symbol]
            _take_out(sides, running.side, running)
            if not sides:
                del self._by_symbol[symbol]
        _take_out(self._by_account, running.algo.plan.account_id, running)
        del self._running[running.id]
        claim = (running.kind.name, running.kind.claim(running.algo))
        if self._claims.get(claim) == running.id:
            del self._claims[claim]
        for name in running.names.values():
            del self._children[name]
        _active.labels(running.kind.name).dec()
        _ended.labels(running.kind.name, running.algo.outcome or "").inc()
        self.remember(running.kind, running.algo)

    def remember(self, kind: Kind, algo: Algo) -> None:
        """How an algo ended."""
        self._ended[algo.plan.algo_id] = (kind, algo)
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)


def _take_out(index: dict[Any, Group], key: str | None, running: Running) -> None:
    del index[key][running.id]
    if not index[key]:
        del index[key]
