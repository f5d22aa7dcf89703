"""What a plan asks the engine to do, and the market it decides on.

Owns the vocabulary between plans and engine. Never carries ids of the wire: the engine names children from the algo's
id, the child's number and its attempt, so that a repetition makes the same client order id.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import msgspec

from pms_common.contracts.bus.orders import SymbolSpec

Gate = Literal["active", "reducing", "halted"]
EndReason = Literal["filled", "cancelled", "distance_breached", "error", "risk", "position_closed"]


@dataclass(frozen=True, slots=True)
class Market:
    """Live best prices of a symbol, its trading rules, and the strictest gate on the account and symbol.

    `sent_us` is the feed's stamp of these prices, which only rises.
    `targets` keeps what was worked out of them, once for all that want the same (`chase_price`).
    """

    bid: Decimal
    ask: Decimal
    spec: SymbolSpec
    gate: Gate = "active"
    sent_us: int = 0
    targets: dict[tuple[Any, ...], Decimal | None] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Save:
    """Write the state; `on_saved` is called after the commit, and what caused it is acknowledged only then."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask risk for this child, at market without a price. Asked again under its name it is the same one."""

    number: int
    attempt: int
    price: Decimal | None
    quantity: Decimal
    lowest: Decimal | None
    highest: Decimal | None
    expires_at_ms: int


class Amend(msgspec.Struct, frozen=True):
    """Move a live child. `approved` says that the price lies in the range that risk has approved.

    A struct, because it is made between a tick and its order: a fifth of a dataclass's time.
    """

    number: int
    attempt: int
    price: Decimal
    quantity: Decimal
    approved: bool


@dataclass(frozen=True, slots=True)
class CancelChild:
    """Have a child cancelled; its final state comes as an update."""

    number: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Started:
    """The first child is at the exchange: the command is answered with success."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Tell readers where the algo stands. `changed` where something happened, not only time passed."""

    changed: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The algo has ended; the state says how. It is told once that is durable."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something of its own that an algo tells readers; `key` is derived from what happened, so a repeat is the same."""

    key: str


Action = Save | Ask | Amend | CancelChild | Started | Progress | Ended | Notice
ChildAction = Ask | Amend | CancelChild
