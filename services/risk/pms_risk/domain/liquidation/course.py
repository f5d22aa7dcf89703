"""A liquidation under way: what of each position is to be left, and what has been tried.

Owns a state that only converges: whatever was lost, sent twice or filled meanwhile, the next attempt follows from the
position as it is. Each attempt is a close of its own (`domain.closing`), named by course, position and attempt. Pure.
Used by the application's liquidator, which keeps courses in Redis.
"""

from decimal import Decimal

import msgspec

from pms_common.contracts.bus.base import PositionSide
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import ZERO, ceil_to
from pms_risk.domain.liquidation.decision import Decision, Facts
from pms_risk.domain.pauses import lasts
from pms_risk.domain.position import Position

FIRST_RETRY_MS = 250
MAX_RETRY_MS = 10_000
ALARM_AFTER = 3
"""Attempts in a row that have closed nothing."""
OVERDUE_MS = 60_000
"""A course of orders at market that has not ended by then needs a person: an order whose outcome nobody tells, a symbol
without rules or a price."""
FINAL_REFUSALS = frozenset(
    {
        "EXCHANGE_MIN_NOTIONAL",
        "EXCHANGE_QTY_TOO_SMALL",
        "EXCHANGE_PRECISION",
        "EXCHANGE_INVALID_ORDER",
        "FILTER_QUANTITY",
        "SYMBOL_NOT_TRADING",
        "SYMBOL_UNKNOWN",
    }
)
"""Refusals that no later attempt would escape."""


class Target(msgspec.Struct, kw_only=True):
    """A position of a course: `keep` is what is left of it in the end, `attempt` the number of its last attempt.

    `refused`: the exchange will never take it, the house does: `take_*` are what it takes, from when that is told until
    it is in the database.
    """

    position_id: str
    symbol: str
    leg: PositionSide
    long: bool
    start: Decimal
    keep: Decimal
    realized_before: Decimal
    left: Decimal
    realized: Decimal
    attempt: int = 0
    failures: int = 0
    retry_ms: int = 0
    trying: bool = False
    tried_at: Decimal = ZERO
    refused: bool = False
    take_price: Decimal | None = None
    take_ms: int = 0
    take_quantity: Decimal = ZERO

    @property
    def excess(self) -> Decimal:
        """What is still to be closed."""
        return max(self.left - self.keep, ZERO)

    def settle(self, decision: Decision, spec: SymbolSpec, mark: Decimal | None) -> None:
        """The symbol's rules are known: what is to be left is what they let be closed again, or nothing."""
        self.keep = kept(self.start, decision, spec, mark)

    def moved(self, position: Position) -> None:
        """Something was booked on the position."""
        self.left, self.realized = abs(position.quantity), position.realized

    def take(self, price: Decimal, at_ms: int) -> None:
        """The house takes what is still to be closed."""
        self.take_price, self.take_ms, self.take_quantity = price, at_ms, self.excess

    def taken(self) -> None:
        """That is in the database; what more there is it takes at another price."""
        self.take_price, self.take_quantity = None, ZERO
        self.attempt += 1

    def try_again(self) -> None:
        """Another attempt begins."""
        self.attempt += 1
        self.trying, self.tried_at = True, self.left

    def pauses(self, now_ms: int) -> bool:
        """Whether the next attempt has to wait."""
        return lasts(self.retry_ms, now_ms, MAX_RETRY_MS)

    def ended(self, error_code: str, now_ms: int) -> None:
        """An attempt has ended."""
        self.trying = False
        self.refused = self.refused or error_code in FINAL_REFUSALS
        self.failures = 0 if self.left < self.tried_at else self.failures + 1
        if self.failures:
            self.retry_ms = now_ms + min(FIRST_RETRY_MS << (self.failures - 1), MAX_RETRY_MS)


def name_of(account_id: str, isolated: str = "") -> str:
    """Names what stands or falls together: an account's cross positions, or one of its isolated ones."""
    return f"{account_id}\x1f{isolated}" if isolated else account_id


class Course(msgspec.Struct, kw_only=True):
    """A decision being carried out, with the facts that it was made from. It concerns the whole account, or one
    `isolated` position (its id), or reduces one of the cross positions. Its id names what the algos were asked;
    orders go out from `from_ms` on, or as soon as the algos have answered. `done`: only its decision is still of
    interest. `alarm_ms`: when somebody was last told that it does not end."""

    id: str
    account_id: str
    decision: Decision
    begun_ms: int
    from_ms: int
    targets: list[Target]
    facts: Facts | None = None
    done: bool = False
    alarm_ms: int = 0
    isolated: str = ""

    @property
    def name(self) -> str:
        """What it concerns is known by."""
        return name_of(self.account_id, self.isolated)

    @property
    def ends(self) -> bool:
        """Whether it leaves nothing of what it concerns."""
        return self.decision.act != "reduce"

    @property
    def full(self) -> bool:
        """Whether it concerns the whole account."""
        return self.ends and not self.isolated

    @property
    def scopes(self) -> list[str]:
        """The symbols it concerns; an empty one means all."""
        return [""] if self.full else [target.symbol for target in self.targets]

    @property
    def takes(self) -> bool:
        """Whether the house has taken what the database may not have yet."""
        return any(target.take_price is not None for target in self.targets)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return not self.takes and not any(target.excess for target in self.targets)

    @property
    def attempts(self) -> int:
        """Of all positions together."""
        return sum(target.attempt for target in self.targets)

    def attempt_key(self, target: Target, number: int) -> str:
        """Names the close that is the last attempt at the `number`-th target."""
        return f"{self.id}:{number}:{target.attempt}"

    def take_reference(self, target: Target) -> str:
        """Names what the house takes now, unique together with the position."""
        return f"{self.id}:{target.attempt}"

    def take_key(self, target: Target) -> str:
        """Names what the house takes now, among all that it ever took."""
        return f"{self.take_reference(target)}:{target.position_id}"

    def overdue(self, now_ms: int) -> bool:
        """Whether somebody must be told, now or once more, that it does not end."""
        return not self.done and now_ms - max(self.begun_ms, self.alarm_ms) >= OVERDUE_MS

    def concerns(self, symbol: str) -> bool:
        """Whether new orders on the symbol must wait for its end."""
        return not self.done and (self.full or any(target.symbol == symbol for target in self.targets))


def target_of(position: Position, decision: Decision, spec: SymbolSpec | None, mark: Decimal | None) -> Target:
    """What a decision wants of one position."""
    held = abs(position.quantity)
    return Target(
        position_id=position.id,
        symbol=position.symbol,
        leg=position.leg,
        long=position.quantity > 0,
        start=held,
        keep=kept(held, decision, spec, mark),
        realized_before=position.realized,
        left=held,
        realized=position.realized,
        refused=decision.act == "take_over",
    )


def kept(held: Decimal, decision: Decision, spec: SymbolSpec | None, mark: Decimal | None) -> Decimal:
    """What is to be left: the share closed is rounded up to a step, and all goes where the rest would be below what the
    venue takes; as long as its rules are not known, the rest of the share."""
    if decision.fraction is None:
        return ZERO
    share = held * decision.fraction
    if spec is None:
        return held - share
    keep = max(held - ceil_to(share, step_of(spec)), ZERO)
    return keep if keep >= least(spec, mark) else ZERO


def step_of(spec: SymbolSpec) -> Decimal:
    """The grid of market orders' quantities."""
    return max(spec.step_size, spec.market_step_size)


def least(spec: SymbolSpec, mark: Decimal | None) -> Decimal:
    """The smallest quantity that the venue takes as a market order at this mark."""
    smallest = max(spec.min_quantity, spec.market_min_quantity, step_of(spec))
    return max(smallest, ceil_to(spec.min_notional / mark, step_of(spec))) if mark else smallest
