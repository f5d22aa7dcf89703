"""What is to be done about an account at given marks: the tiers.

Owns the tiers of each mode (source: the reference of the earlier engine, section 5). Pure and total: the same facts
make the same decision, so that what was recorded can be replayed. Used by the watch.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pms_common.contracts.base import LiquidationMode
from pms_common.contracts.events.system import LiquidationKind
from pms_common.decimals import ZERO
from pms_risk.domain.account import Account, Status
from pms_risk.domain.evaluation import Standing
from pms_risk.domain.math import Leg, margin_ratio

INSOLVENCY = Decimal(1)
"""The margin ratio at which everything goes, whatever the mode and threshold."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """Steps around an account's threshold T, in margin ratio, and the share of a position that one reduction closes."""

    warning: Decimal = Decimal("0.10")
    """A warning from T less this."""
    escalation: Decimal = Decimal("0.05")
    """From T and this on one reduction, then everything if the ratio is still at T."""
    fraction: Decimal = Decimal("0.3")


@dataclass(frozen=True, slots=True)
class Held:
    """A position as a decision sees it. Not `sound`: `mark` is a bound that favours the account, no price."""

    id: str
    symbol: str
    mark: Decimal
    leg: Leg
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """All a decision is made from.

    They concern an account's cross positions and the cash behind them, or one that is `isolated` (its id) and its
    margin. `escalating`: the reduction of the third tier has just been made. `held`: the gravity of the gravest step
    that has been asked for long enough.
    """

    status: Status
    mode: LiquidationMode
    threshold: Decimal
    balance: Decimal
    positions: tuple[Held, ...]
    tiers: Tiers
    escalating: bool = False
    held: int = 3
    isolated: str = ""

    @property
    def equity(self) -> Decimal:
        """Cash and unrealised profit."""
        return self.balance + sum([held.leg.pnl for held in self.positions], ZERO)

    @property
    def ratio(self) -> Decimal:
        """Margin ratio."""
        return margin_ratio(sum([held.leg.maintenance for held in self.positions], ZERO), self.equity)

    @property
    def largest(self) -> Held:
        """The largest position by notional at entry among those with a sound price, the oldest on a tie."""
        return max(self.positions, key=lambda held: (held.sound, abs(held.leg.cost)))

    @property
    def insolvent(self) -> bool:
        """Whether everything goes, whatever the mode and threshold."""
        return self.equity <= 0 or self.ratio >= INSOLVENCY

    @property
    def over(self) -> bool:
        """Whether the account is over its limit."""
        return self.insolvent or self.ratio >= self.threshold


@dataclass(frozen=True, slots=True)
class Decision:
    """`reduce` concerns `position_id` only, by `fraction`; `close` and `take_over` all positions that the facts are
    about, which `position_id` names where it is a single isolated one."""

    act: Literal["warn", "reduce", "close", "take_over"]
    ratio: Decimal
    kind: LiquidationKind = "ADL_30"
    tier: int | None = None
    fraction: Decimal | None = None
    position_id: str = ""

    @property
    def gravity(self) -> int:
        """0 a warning, 1 a reduction of the second tier, 2 of the third, 3 everything."""
        return {"warn": 0, "reduce": (self.tier or 2) - 1}.get(self.act, 3)


def decide(facts: Facts) -> Decision | None:
    """What the tiers ask for; None: nothing. FROZEN stops new risk only; what is LIQUIDATED is an operator's."""
    if not facts.positions or facts.status == "LIQUIDATED":
        return None
    ratio, insolvent = facts.ratio, facts.insolvent
    if not facts.over:
        warned = facts.mode == "ADL_30" and ratio >= facts.threshold - facts.tiers.warning
        return Decision("warn", ratio, tier=1) if warned else None
    if facts.mode != "ADL_30":
        return _everything(facts, _kind_of(facts.mode, insolvent), facts.mode == "TAKEOVER")
    if facts.held >= 3 and (insolvent or facts.escalating):
        return _everything(facts, "INSOLVENCY_GUARD" if insolvent else "ADL_30_ESCALATED", takes_over=False)
    tier = 3 if facts.held >= 2 and ratio >= facts.threshold + facts.tiers.escalation else 2
    return Decision("reduce", ratio, "ADL_30", tier, facts.tiers.fraction, facts.largest.id)


def _kind_of(mode: LiquidationMode, insolvent: bool) -> LiquidationKind:
    if mode == "TAKEOVER":
        return "INSOLVENCY_TAKEOVER" if insolvent else "VIRTUAL_LIQ"
    return "INSOLVENCY_GUARD" if insolvent else "INSTANT_CLOSE"


def facts_of(
    account: Account, standing: Standing, tiers: Tiers, escalating: bool, unsound: Collection[str] = ()
) -> Facts:
    """The facts about positions that stand or fall together. All have a mark, those of `unsound` symbols a bound.

    An account that is called LIQUIDATED (by whom ever) while it holds positions is watched like a frozen one.
    """
    rows = zip(standing.positions, standing.marks, standing.legs, strict=True)
    return Facts(
        status="FROZEN" if account.status == "LIQUIDATED" and standing.positions else account.status,
        mode=account.liquidation_mode,
        threshold=standing.threshold,
        balance=standing.balance,
        positions=tuple(
            [
                Held(held.id, held.symbol, mark, leg, held.symbol not in unsound)
                for held, mark, leg in rows
                if mark is not None
            ]
        ),
        tiers=tiers,
        escalating=escalating,
        isolated=standing.isolated,
    )


def full_threshold(mode: LiquidationMode, threshold: Decimal, tiers: Tiers) -> Decimal:
    """The margin ratio from which on everything may be closed."""
    return min(threshold + tiers.escalation, INSOLVENCY) if mode == "ADL_30" else threshold


def _everything(facts: Facts, kind: LiquidationKind, takes_over: bool) -> Decision:
    return Decision("take_over" if takes_over else "close", facts.ratio, kind, position_id=facts.isolated)
