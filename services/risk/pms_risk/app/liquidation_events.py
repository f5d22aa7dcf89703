"""What the world is told of margin: warnings, and liquidations that have been carried out.

Owns these events and their keys. Used by the sentinel and the liquidator.
"""

from typing import Any

from pms_common.contracts.events.system import (
    AccountUpdated,
    AdlTriggered,
    FullLiquidation,
    LiquidatedPosition,
    Liquidation,
    MarginWarning,
)
from pms_risk.app.events import Events
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.liquidation.course import Course, Target
from pms_risk.domain.liquidation.decision import Decision, Facts
from pms_risk.domain.snapshot import shown, snapshot


class LiquidationEvents:
    """Writes them."""

    def __init__(self, state: RiskState, events: Events) -> None:
        self._state = state
        self._events = events

    def warn(self, account: Account, decision: Decision, facts: Facts, at_ms: int) -> None:
        """The account, or an isolated position of it, is near its threshold."""
        threshold, ratio = facts.threshold, decision.ratio
        what = f" of the isolated position on {facts.positions[0].symbol}" if facts.isolated else ""
        event = MarginWarning(
            sub_account_id=account.id,
            timestamp_ms=at_ms,
            symbol=facts.positions[0].symbol if facts.isolated else None,
            margin_ratio=shown(ratio),
            liquidation_threshold=threshold,
            message=f"The margin ratio{what} is {ratio:.1%}; positions are reduced from {threshold:.1%} on",
            account=snapshot(account, self._state.prices.mark),
        )
        self._events.tell(f"{account.id}:{at_ms}:{facts.isolated}margin_warning", event)

    def ended(self, account: Account, course: Course, at_ms: int) -> None:
        """A decision has been carried out: the step under its general name and under the one browsers know."""
        decision = course.decision
        shot = snapshot(account, self._state.prices.mark)
        fields: dict[str, Any] = {
            "sub_account_id": account.id,
            "timestamp_ms": at_ms,
            "mode": decision.kind,
            "tier": decision.tier,
            "fraction": decision.fraction,
            "margin_ratio": shown(decision.ratio),
            "symbol": None if course.full else course.targets[0].symbol,
            "positions": tuple([_position(target) for target in course.targets]),
            "account": shot,
        }
        self._events.tell(f"{course.id}:liquidation", Liquidation(**fields))
        if not course.ends:
            self._events.tell(f"{course.id}:adl_triggered", AdlTriggered(**fields))
            return
        self._events.tell(f"{course.id}:full_liquidation", FullLiquidation(**fields))
        if not course.full:
            return
        updated = AccountUpdated(
            sub_account_id=account.id,
            timestamp_ms=at_ms,
            name=account.name,
            status=account.status,
            liquidation_mode=account.liquidation_mode,
            reason="liquidated",
            account=shot,
        )
        self._events.tell(f"{course.id}:account_updated", updated)


def _position(target: Target) -> LiquidatedPosition:
    return LiquidatedPosition(
        position_id=target.position_id,
        symbol=target.symbol,
        side="LONG" if target.long else "SHORT",
        closed_qty=target.start - target.left,
        remaining_qty=target.left,
        realized_pnl=target.realized - target.realized_before,
    )
