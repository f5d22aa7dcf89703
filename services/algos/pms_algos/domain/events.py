"""What happens to a plan: the events it is stepped with, and the scene it decides on.

Owns the vocabulary from engine to plans; `actions` is the one back. Each plan is one pure function
`step(state, event, scene) -> (state, actions)`. Never carries ids of the wire: a child is known by the chase that works
it, its number and its attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pms_algos.domain.actions import EndReason, Market
from pms_common.contracts.bus.orders import OrderUpdate, SymbolSpec

PositionSide = Literal["LONG", "SHORT"]


@dataclass(frozen=True, slots=True)
class Held:
    """A position of the account, as risk told it last."""

    position_id: str
    symbol: str
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    leverage: Decimal


@dataclass(slots=True)
class Scene:
    """What a plan sees. `market` is None without a live price; `held` while risk has not spoken of the account.

    The engine keeps one an algo and sets its time.
    """

    now_ms: int
    market: Callable[[str], Market | None]
    spec: Callable[[str], SymbolSpec | None]
    held: Callable[[], tuple[Held, ...] | None]


@dataclass(frozen=True, slots=True)
class Quoted:
    """Best prices of a symbol, changed or merely confirmed."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Saved:
    """The newest save is durable: what it governs may be done."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The time the state asked to be woken at has come."""


@dataclass(frozen=True, slots=True)
class Told:
    """An update of a child, of the chase whose plan bears the id `work`."""

    work: str
    number: int
    attempt: int
    update: OrderUpdate


@dataclass(frozen=True, slots=True)
class Refused:
    """Risk refused a child, or an amend beyond what it had approved."""

    work: str
    number: int
    attempt: int
    amend: bool
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Orders has told all that lives, and this chase's child was not among it."""

    work: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The state was loaded; nothing may be done before `LookedUp`. `answered`: its command has its answer."""

    answered: bool


@dataclass(frozen=True, slots=True)
class LookedUp:
    """After a restart, all children that live have been told."""


@dataclass(frozen=True, slots=True)
class Missed:
    """After a restart, or a lost line: the lowest and the highest middle price since the newest one it has seen."""

    lowest: Decimal
    highest: Decimal


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Risk has told the account's positions anew."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """End. `close_positions`: and close what the algo opened."""

    reason: EndReason
    close_positions: bool = False


@dataclass(frozen=True, slots=True)
class Paused:
    """Cancel what rests and wait. `by` is the holder (`pauses`)."""

    by: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """Go on, unless another holds it back."""

    by: str


Event = (
    Quoted
    | Saved
    | Woken
    | Told
    | Refused
    | Missing
    | Restarted
    | LookedUp
    | Missed
    | AccountChanged
    | Cancelled
    | Paused
    | Resumed
)
