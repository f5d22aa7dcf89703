"""The state of a chase: what was ordered, its one child, and what earlier children executed.

A chase is also how every other algo has a quantity executed: a layer of a scalper follows the quote, a lot of a TWAP
rests at its `limit_price` or takes the market, and so does a stop's close. Owns the form in which it is kept in
PostgreSQL. Never decides; `chase` does.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from pms_algos.domain.state import State
from pms_algos.domain.times import UtcMs
from pms_common.contracts.bus.base import Origin, Side

StalkMode = Literal["none", "maintain", "trail"]
Phase = Literal[
    "reserved",  # named, not yet durable
    "saved",  # durable, waiting for a price, a pause or a gate before it is asked for
    "asked",  # asked for; orders has not spoken
    "live",  # at the exchange
    "cancelling",  # to be cancelled, not yet final
    "lookup",  # after a restart: what became of it is being asked
    "final",
]


class ChasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered. `anchor` is the own quote at the start (legacy: initialPrice); it never changes.

    `limit_price`: rest there instead of following the quote; `at_market`: take what is there. `parent_id` is the algo
    this is a part of, `origin` whose order readers are told it is.
    """

    algo_id: str
    account_id: str
    request_id: str
    symbol: str
    side: Side
    quantity: Decimal
    leverage: Decimal
    offset_pct: Decimal = Decimal(0)
    offset_ticks: int | None = None
    mode: StalkMode = "none"
    max_distance_pct: Decimal = Decimal(0)
    min_interval_ms: int = 100
    reduce_only: bool = False
    post_only: bool = False
    limit_price: Decimal | None = None
    at_market: bool = False
    parent_id: str | None = None
    replaces_id: str | None = None
    origin: Origin = "CHASE"
    anchor: Decimal
    started_ms: UtcMs
    traceparent: str = ""


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """The chase's only child that may be alive. A refused child is tried again as its next attempt.

    `target` is the price of an amend under way, `lowest` and `highest` what risk has approved, `seen` whether orders
    has spoken of it, `asked_ms` when it was last asked for or may have been, `expires_ms` until when risk may grant it:
    given with the name, and never given anew.
    """

    number: int = 0
    attempt: int = 0
    phase: Phase = "reserved"
    quantity: Decimal
    price: Decimal | None = None
    target: Decimal | None = None
    lowest: Decimal | None = None
    highest: Decimal | None = None
    executed: Decimal = Decimal(0)
    average: Decimal | None = None
    asked_ms: UtcMs = 0
    expires_ms: UtcMs = 0
    seen: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """What a chase ended of. One whose first child never came to the exchange answers its command with it."""

    code: str
    message: str


class Chase(State, frozen=True, kw_only=True):
    """A chase. `executed` and `cost` are those of earlier children."""

    plan: ChasePlan
    child: Child
    executed: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    reprices: int = 0
    moved_ms: UtcMs = 0
    refusals: int = 0
    retry_ms: UtcMs = 0
    held: Decimal | None = None
    held_ms: UtcMs = 0
    progress_ms: UtcMs = 0
    refusal: Refusal | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.outcome is not None

    @property
    def total_executed(self) -> Decimal:
        """Executed by all children, the present one included."""
        return self.executed + self.child.executed

    @property
    def remaining(self) -> Decimal:
        """Ordered less executed, over all children, always."""
        return self.plan.quantity - self.total_executed

    @property
    def fill_price(self) -> Decimal | None:
        """Average price of all that was executed."""
        done = self.total_executed
        if not done:
            return None
        return self.total_cost / done

    @property
    def total_cost(self) -> Decimal:
        """Price times quantity of all that was executed."""
        return self.cost + _cost(self.child)


def _cost(child: Child) -> Decimal:
    price = child.average if child.average is not None else child.price
    return child.executed * price if price is not None else Decimal(0)


def absorb(chase: Chase) -> Chase:
    """The child's executions moved to the chase's own, before the next child takes its place."""
    child = chase.child
    return msgspec.structs.replace(
        chase,
        executed=chase.executed + child.executed,
        cost=chase.cost + _cost(child),
        child=msgspec.structs.replace(child, executed=Decimal(0), average=None),
    )
