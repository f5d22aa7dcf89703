"""What the engine and the commands know of a kind of algo: one entry of the table `KINDS`.

Owns the form of that entry. A new algo is a plan in `domain/`, a file beside this one, and its line in the table.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import msgspec

from pms_algos.domain.actions import EndReason, Market, Notice
from pms_algos.domain.chase_child import OVERTAKEN, shut
from pms_algos.domain.chase_state import Chase, Refusal
from pms_algos.domain.events import Event, Scene
from pms_algos.domain.parts import Actions
from pms_common.contracts.algos import AlgoItem, AlgoStatus
from pms_common.contracts.bus.base import Side
from pms_common.contracts.commands import Command
from pms_common.contracts.errors import CommandError, ErrorCode
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
    @property
    def traceparent(self) -> str: ...


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


@dataclass(frozen=True, slots=True)
class Begin:
    """A start that passed what all kinds have in common; `scene` is the account's."""

    algo_id: str
    account_id: str
    request_id: str
    expires_ms: int | None
    scene: Scene
    traceparent: str = ""


Quote = Callable[[str], tuple[float | None, float | None]]
"""Best bid and ask of a symbol, for readers."""
Decision = tuple[Any, Actions]
Told = tuple[type[AlgoEvent] | type[Success], dict[str, Any]]
"""A message that readers get, and what it tells beyond what the algo's line shows."""
M = TypeVar("M", bound=msgspec.Struct)


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
    progress: type[AlgoEvent]
    end: Callable[[Any], Told]
    """The event that tells how it ended."""
    changed: Callable[[Any], Told]
    """The answer to a cancel, a pause or a resume."""
    no_price: ErrorCode = ErrorCode.NO_PRICE
    """The answer to a start without a price."""
    notice: Callable[[Any, Notice], Told] | None = None
    shows_parts: bool = False
    """Whether readers are told of each chase it is made of, too."""
    side: Callable[[Any], Side | None] = lambda _: None
    """The side whose quote alone it follows."""
    seen_us: Callable[[Any], int | None] = lambda _: None
    """The feed's stamp of the newest price it has seen, where it must miss none that comes after it."""
    unmoved: Callable[[Any, Market, int], bool] = lambda *_: False
    """Whether a price of the only symbol would change nothing at all, whatever the gate is: asked before `step`."""
    refusal: Callable[[Any], Refusal] = lambda _: OVERTAKEN
    """Why there is nothing to show of one that has ended and was never answered."""
    claim: Callable[[Any], str] = lambda _: ""
    """What only one of its kind may have, where there is such a thing."""
    position: Callable[[Any], str] | None = None
    """The position a command names, where that tells the account."""


def market_of(of: Begin, symbol: str) -> Market:
    """The market of a symbol that is wanted: nothing begins without its price."""
    market = of.scene.market(symbol)
    assert market is not None
    return market


def check_gate(market: Market, *, reduce_only: bool = False) -> None:
    """Refuse a start that the gate forbids."""
    if shut(market, reduce_only):
        raise CommandError(ErrorCode.TRADING_HALTED if market.gate == "halted" else ErrorCode.TRADING_REDUCING)


def status(algo: Algo) -> AlgoStatus:
    """Where an algo stands."""
    if algo.outcome is not None:
        return "ended"
    if algo.ending is not None:
        return "stopping"
    if algo.paused is not None:
        return "paused"
    return "active" if algo.answered else "starting"


def telling(message: type[M], item: AlgoItem, more: dict[str, Any]) -> M:
    """A message with `more`, and all else that it must have as the algo's line shows it."""
    return message(**{name: getattr(item, name) for name in _shared(message, type(item))} | more)


@lru_cache(maxsize=64)
def _shared(message: type[msgspec.Struct], item: type[AlgoItem]) -> tuple[str, ...]:
    required = (field.name for field in msgspec.structs.fields(message) if field.required)
    return tuple(name for name in required if name in item.__struct_fields__)


def sole_symbol(command: Any) -> tuple[str, ...]:
    """The symbol of a command that has one."""
    assert isinstance(command, Command)
    return (command.symbol,)  # type: ignore[attr-defined]
