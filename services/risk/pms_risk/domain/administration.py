"""What the JS application administers of an account, and what a difference to its tables means.

Owns the comparison: both sides' values are held against what they last agreed on, so that a value which differs from
that is somebody's change; where both changed one, the application's stands. Owns, too, how its numbers and words are
read: numbers as people write them, unless they are none; a status nobody knows lets no new risk in, a liquidation
mode nobody knows is the default, as its own engine had it. Pure. Used by the application handler of that name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from typing import Any, get_args

from pms_common.contracts.base import LiquidationMode
from pms_risk.domain.account import Account, Status
from pms_risk.domain.position import WALLET_UNIT

LIMITS = ("max_leverage", "max_notional_per_trade", "max_total_exposure", "liquidation_threshold")
TERMS = ("name", "status", "liquidation_mode", "maintenance_rate", *LIMITS)
"""What both sides may change, beside the balance."""
Terms = Mapping[str, Any]
"""Values by those names, as the tables have them: texts and doubles."""

STATUSES: tuple[Status, ...] = ("ACTIVE", "FROZEN", "LIQUIDATED")
MODES: tuple[LiquidationMode, ...] = get_args(LiquidationMode)
MAX_BALANCE = 1e15
"""A double holds it to the cent and the books to the wallet's unit; no account on earth has it."""
UNKNOWN_STATUS: Status = "FROZEN"
UNKNOWN_MODE: LiquidationMode = "ADL_30"


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance in the shared table: `value` as it is, `left` as we left it, `exact` before it became a double;
    `found` is what all that others have changed in it comes to, up to then."""

    value: float
    left: float
    exact: Decimal
    found: Decimal

    @property
    def readable(self) -> bool:
        """Whether it is a number that can be anybody's cash."""
        return isfinite(self.value) and abs(self.value) <= MAX_BALANCE

    def found_by_now(self) -> Decimal:
        """What others have changed in it by now, all together, in the wallet's unit."""
        if self.value == self.left or not self.readable:
            return self.found
        return self.found + Decimal(repr(self.value)).quantize(WALLET_UNIT, ROUND_HALF_UP) - self.exact


@dataclass(frozen=True, slots=True)
class Difference:
    """One account in which the shared tables, what was agreed, and our own tables are not the same; None: not there.

    `ours` has exact numbers; `moved` says that they are not those of the last time, `behind` that the balance there is
    not the one of our cash.
    """

    account_id: str
    shared: Terms | None
    agreed: Terms | None
    ours: Terms | None
    balance: Balance | None = None
    moved: bool = False
    behind: bool = False
    created_ms: int = 0
    version: str = ""
    """Names the state of its rows there."""

    def theirs(self) -> dict[str, Any]:
        """What the application has changed, in its own values."""
        shared, agreed = self.shared or {}, self.agreed or {}
        return {name: shared[name] for name in TERMS if shared[name] != agreed[name]}

    def own(self) -> dict[str, Any]:
        """What has changed here alone."""
        if self.ours is None:
            return {}
        agreed, theirs = self.agreed or {}, self.theirs()
        ours = {name: float(v) if isinstance(v, Decimal) else v for name, v in self.ours.items()}
        return {name: ours[name] for name in TERMS if name not in theirs and ours[name] != _plain(name, agreed[name])}


def terms_of(account: Account) -> dict[str, Any]:
    """An account's terms in the shared tables' words and numbers."""
    named = {"name": account.name, "status": account.status, "liquidation_mode": account.liquidation_mode}
    limits = {name: float(getattr(account.rules, name)) for name in LIMITS}
    return {**named, "maintenance_rate": float(account.maintenance_rate), **limits}


def unreadable(terms: Terms) -> set[str]:
    """Which of these values cannot be taken over."""
    numbers = {name: value for name, value in terms.items() if isinstance(value, float)}
    none = {name for name, value in numbers.items() if not isfinite(value) or value < 0}
    # At 0 any position at all is over it, and would be reduced again and again; operators may not set such either.
    if not 0 < numbers.get("liquidation_threshold", 1) <= 1:
        none.add("liquidation_threshold")
    return none


def apply(account: Account, terms: Terms) -> bool:
    """Give an account these terms, all of them readable; whether it had others."""
    before = terms_of(account)
    if all(before[name] == _plain(name, value) for name, value in terms.items()):
        return False
    limits: dict[str, Any] = {name: Decimal(repr(terms[name])) for name in LIMITS if name in terms}
    account.set_rules(replace(account.rules, **limits))
    account.name = terms.get("name", account.name)
    mode = _plain("liquidation_mode", terms.get("liquidation_mode", account.liquidation_mode))
    rate = Decimal(repr(terms["maintenance_rate"])) if "maintenance_rate" in terms else account.maintenance_rate
    account.set_mode(mode, account.maintenance_mode, rate)
    account.set_status(_plain("status", terms.get("status", account.status)))
    return True


def _plain(name: str, value: Any) -> Any:
    """A value of theirs as we understand it."""
    if name == "status":
        return value if value in STATUSES else UNKNOWN_STATUS
    if name == "liquidation_mode":
        return value if value in MODES else UNKNOWN_MODE
    return value
