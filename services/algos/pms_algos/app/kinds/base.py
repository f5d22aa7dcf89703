"""What the engine and the commands know of a kind of algo: one entry of the table `KINDS`.

Owns the form of that entry. A new algo is a plan in `domain/`, a file beside this one, and its line in the table.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from pms_algos.domain.actions import EndReason, Notice
from pms_algos.domain.chase_state import Chase
from pms_algos.domain.events import Event, Scene
from pms_algos.domain.parts import Actions
from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.algos import AlgoItem, AlgoStatus
from pms_common.contracts.bus.base import Side
from pms_common.contracts.commands import Command
from pms_common.contracts.events.base import AlgoEvent
from pms_common.contracts.results import Success


class Plan(Protocol):
    """What every plan says of itself."""

    @property
    def algo_id(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def replaces_id(self) -> str | None: ...
    @property
    def started_ms(self) -> int: ...


class Algo(Protocol):
    """What every state says of itself; the rest is its plan's alone."""

    @property
    def plan(self) -> Plan: ...
    @property
    def version(self) -> int: ...
    @property
    def wake_ms(self) -> int: ...
    @property
    def answered(self) -> bool: ...
    @property
    def paused(self) -> str | None: ...
    @property
    def ending(self) -> EndReason | None: ...
    @property
    def outcome(self) -> EndReason | None: ...


class Head(TypedDict):
    """What every event of an algo begins with."""

    sub_account_id: str
    timestamp_ms: int
    client_order_id: str | None
    account: AccountSnapshot | None


@dataclass(frozen=True, slots=True)
class Begin:
    """A start that passed what all kinds have in common; `scene` is the account's."""

    algo_id: str
    account_id: str
    request_id: str
    expires_ms: int | None
    scene: Scene


Quote = Callable[[str], tuple[float | None, float | None]]
"""Best bid and ask of a symbol, for readers."""
Decision = tuple[Any, Actions]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of algo. The functions take a state of the kind's own class."""

    name: str
    prefix: str
    """What its ids begin with."""
    most: int
    """How many may run for one account (reference, constants)."""
    state: type[Any]
    step: Callable[[Any, Event, Scene], Decision]
    chases: Callable[[Any], Iterable[Chase]]
    """The chases it is made of, whose children may be alive."""
    symbols: Callable[[Any], tuple[str, ...]]
    opens: Callable[[Any], bool]
    """Whether it may raise a position: what only closes goes on while an account is frozen."""
    begin: Callable[[Begin, Any], Decision]
    """From a checked command; raises CommandError."""
    wants: Callable[[Any], tuple[str, ...]]
    """The symbols of a command, whose prices it begins with."""
    item: Callable[[Any, Quote], AlgoItem]
    progress: Callable[[Any, Quote, Head], AlgoEvent]
    end: Callable[[Any, Head], AlgoEvent]
    changed: Callable[[Any, str, tuple[str, ...] | None], Success]
    notice: Callable[[Any, Notice, Head], AlgoEvent] | None = None
    side: Callable[[Any], Side | None] = lambda _: None
    """The side whose quote alone it follows."""
    claim: Callable[[Any], str] = lambda _: ""
    """What only one of its kind may have, where there is such a thing."""
    position: Callable[[Any], str] | None = None
    """The position a command names, where that tells the account."""


def status(algo: Algo) -> AlgoStatus:
    """Where an algo stands."""
    if algo.outcome is not None:
        return "ended"
    if algo.ending is not None:
        return "stopping"
    if algo.paused is not None:
        return "paused"
    return "active" if algo.answered else "starting"


def sole_symbol(command: Any) -> tuple[str, ...]:
    """The symbol of a command that has one."""
    assert isinstance(command, Command)
    return (command.symbol,)  # type: ignore[attr-defined]
