"""The state of a TWAP: the schedule, the lot under way, and what its orders executed.

Owns the form in which it is kept in PostgreSQL. Never decides; `twap` does.
"""

from decimal import Decimal

import msgspec

from pms_algos.domain.chase_state import Chase
from pms_algos.domain.state import State
from pms_algos.domain.times import UtcMs
from pms_common.contracts.bus.base import Side

ZERO = Decimal(0)


class Lot(msgspec.Struct, frozen=True):
    """When a lot is due, and how much is to be executed by its end, all lots before it included."""

    due_ms: UtcMs
    upto: Decimal


class TwapPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered: `in_usdt` says what `lots` count, USDT notional or base coin. The schedule never changes."""

    algo_id: str
    account_id: str
    request_id: str
    symbol: str
    side: Side
    leverage: Decimal
    in_usdt: bool
    lots: tuple[Lot, ...]
    interval_ms: int
    duration_ms: int
    jitter: bool = False
    irregular: bool = False
    price_limit: Decimal | None = None
    basket_id: str | None = None
    replaces_id: str | None = None
    started_ms: UtcMs
    traceparent: str = ""

    @property
    def total(self) -> Decimal:
        """All that was ordered, in what the lots count."""
        return self.lots[-1].upto


class Failure(msgspec.Struct, frozen=True):
    """A lot (from 1) that was given up, and why."""

    lot: int
    error: str


class Twap(State, frozen=True, kw_only=True):
    """A TWAP. `lot` is the one that is next or under way, `part` the chase that works it.

    `executed` and `cost` are those of earlier parts; `given_up` is what failed lots left, in what the lots count, and
    is never asked for again; `merged` lots were too small and go with the present one. `take`: its limit order has had
    its time, the market takes the rest; `tries`: how often it has failed; `next_ms`: when it may begin or go on;
    `skip_ms`: when it was last told that it waits for its price; `begun_ms`: when the last lot began.
    """

    plan: TwapPlan
    lot: int = 0
    part: Chase | None = None
    parts: int = 0
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    given_up: Decimal = ZERO
    filled_lots: int = 0
    failures: tuple[Failure, ...] = ()
    begun_ms: UtcMs = 0
    tries: int = 0
    next_ms: UtcMs = 0
    merged: int = 0
    take: bool = False
    skip_ms: UtcMs = 0
    skipped: int = 0

    @property
    def total_executed(self) -> Decimal:
        """Executed by all orders, base coin."""
        return self.executed + (self.part.total_executed if self.part is not None else ZERO)

    @property
    def total_cost(self) -> Decimal:
        """Notional of what was executed, USDT."""
        return self.cost + (self.part.total_cost if self.part is not None else ZERO)

    @property
    def done(self) -> Decimal:
        """Executed, in what the lots count."""
        return self.total_cost if self.plan.in_usdt else self.total_executed

    @property
    def due(self) -> Decimal:
        """What the present lot has still to execute, in what the lots count."""
        return self.plan.lots[self.lot].upto - self.given_up - self.done

    @property
    def left(self) -> Decimal:
        """What all lots that follow have still to execute with it."""
        return self.plan.total - self.given_up - self.done
