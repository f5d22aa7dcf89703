"""When a decision about an account is acted on.

Owns what is remembered of an account between two looks: a step must be asked for by two updates a while apart, with
nothing less in between; a reduction cools down before it is repeated; a warning is told once until the account has
recovered. Pure. Used by the application's sentinel.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from pms_risk.domain.liquidation.decision import Decision, Facts, decide
from pms_risk.domain.pauses import lasts

RECOVERY = Decimal("0.02")
"""How far below its limit the ratio must fall before the same warning is told again."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps a spike from liquidating anybody."""

    hold_ms: int = 250
    """Between the first and the last update that must ask for a step, or for a graver one."""
    cooldown_ms: int = 5_000
    """After a reduction of the second tier."""
    max_spread: Decimal = Decimal("0.01")
    """Of the mid; a wider market says nothing."""
    max_mark_gap: Decimal = Decimal(0)
    """Of the exchange's mark price; a mid farther from it says nothing. 0: it is not compared."""


@dataclass(slots=True)
class Watch:
    """Of one account. `since_ms`: gravity of a step → the update since which it, or a graver one, is asked for."""

    warned: bool = False
    escalating: bool = False
    since_ms: dict[int, int] = field(default_factory=dict)
    cool_until_ms: int = 0

    def judge(
        self, facts: Facts, update_ms: int, settled_ms: int, guards: Guards, under_way: int = 0
    ) -> tuple[Decision, Facts] | None:
        """What is to be done now, and the facts that make it so.

        `update_ms` is the time of the newest price, `settled_ms` of the oldest: what was asked for counts as asked
        again only when every price has been told again. While a graver step has not been asked for long enough, a
        lesser one that has is taken. While a reduction is carried out, whose gravity is `under_way`, only a graver step
        counts.
        """
        decision = decide(facts)
        if decision is None or decision.act == "warn":
            self.since_ms = {}
            if under_way:
                return None
            self.escalating = False
            return self._warn(facts, decision)
        since_ms = self.since_ms
        self.since_ms = {
            level: min(since_ms.get(level, update_ms), update_ms) for level in range(1, decision.gravity + 1)
        }
        if self.waits(update_ms, settled_ms, guards):
            return None
        held = max(level for level, at_ms in self.since_ms.items() if settled_ms - at_ms >= guards.hold_ms)
        facts = replace(facts, held=held)
        decision = decide(facts)
        assert decision is not None, "the account is over its threshold"
        if decision.gravity <= under_way or (decision.tier == 2 and self._cools(update_ms, guards)):
            return None
        self.since_ms = {}
        return decision, facts

    def waits(self, update_ms: int, settled_ms: int, guards: Guards) -> bool:
        """Whether something is asked for, and nothing for long enough.

        Where the newest update is older than the first that asked, the clock was set back: it is asked for anew.
        """
        return bool(self.since_ms) and settled_ms - guards.hold_ms < self.since_ms[1] <= update_ms

    def reduced(self, decision: Decision, at_ms: int, guards: Guards) -> None:
        """A reduction has been carried out; what was asked for before it counts no more."""
        self.since_ms = {}
        self.escalating = decision.tier == 3
        self.cool_until_ms = at_ms + guards.cooldown_ms

    def _cools(self, update_ms: int, guards: Guards) -> bool:
        """Whether it cools down; the newest update may be older than the reduction."""
        return lasts(self.cool_until_ms, update_ms, 2 * guards.cooldown_ms)

    def _warn(self, facts: Facts, decision: Decision | None) -> tuple[Decision, Facts] | None:
        if decision is not None:
            again, self.warned = self.warned, True
            return None if again else (decision, facts)
        if self.warned and facts.ratio < facts.threshold - facts.tiers.warning - RECOVERY:
            self.warned = False
        return None
