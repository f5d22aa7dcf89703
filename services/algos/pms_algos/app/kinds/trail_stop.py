"""Trailing stop: from its command to its plan, and from its state to what is shown. The plan is `domain.trail_stop`."""

from decimal import Decimal

from pms_algos.app.kinds.base import Begin, Decision, Kind, Quote, Told, market_of, status
from pms_algos.domain import trail_stop as plan_of
from pms_algos.domain.actions import Notice
from pms_algos.domain.trail_stop import TrailStop, TrailStopPlan
from pms_common.contracts.algos import TrailStopItem
from pms_common.contracts.commands.trail_stop import TrailStop as StartTrailStop
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events.trail_stop import TrailStopCancelled, TrailStopProgress, TrailStopTriggered
from pms_common.contracts.results_algos import TrailStopChanged
from pms_common.decimals import from_float


def begin(of: Begin, command: StartTrailStop) -> Decision:
    """A new stop on a position of the account."""
    held = next((held for held in of.scene.held() or () if held.position_id == command.position_id), None)
    if held is None:
        raise CommandError(ErrorCode.POSITION_NOT_FOUND, field="positionId")
    plan = TrailStopPlan(
        algo_id=of.algo_id,
        account_id=of.account_id,
        request_id=of.request_id,
        traceparent=of.traceparent,
        position_id=command.position_id,
        symbol=held.symbol,
        side=held.side,
        callback_pct=command.callback_pct,
        activation_price=command.activation_price,
        replaces_id=command.replaces_id,
        started_ms=of.scene.now_ms,
    )
    return plan_of.start(plan, market_of(of, held.symbol))


# -- what readers are shown


def _middle(stop: TrailStop, quote: Quote) -> Decimal | None:
    bid, ask = quote(stop.plan.symbol)
    return None if bid is None or ask is None else (from_float(bid) + from_float(ask)) / 2


def item(stop: TrailStop, quote: Quote) -> TrailStopItem:
    """A stop's line of the active list."""
    plan = stop.plan
    return TrailStopItem(
        trail_stop_id=plan.algo_id,
        position_id=plan.position_id,
        symbol=plan.symbol,
        side=plan.side,
        callback_pct=plan.callback_pct,
        activation_price=plan.activation_price,
        activated=stop.extreme is not None,
        extreme_price=stop.extreme,
        trigger_price=stop.trigger,
        current_price=_middle(stop, quote),
        status=status(stop),
        started_at_ms=plan.started_ms,
    )


def _triggered(stop: TrailStop, error: str | None) -> Told:
    return TrailStopTriggered, {"triggered_price": stop.triggered, "close_success": error is None, "error": error}


def notice(stop: TrailStop, told: Notice) -> Told:
    """The event of a close that was refused and is tried again."""
    assert isinstance(told, plan_of.CloseFailed)
    return _triggered(stop, told.error)


def end(stop: TrailStop) -> Told:
    """The event that tells how a stop ended."""
    if stop.outcome == "filled":
        return _triggered(stop, None)
    told = stop.outcome in {"cancelled", "position_closed", "risk"}
    return TrailStopCancelled, {"reason": stop.outcome if told else "error"}


KIND = Kind(
    name="trail_stop",
    prefix="ts",
    most=500,
    state=TrailStop,
    step=plan_of.step,
    chases=lambda stop: () if stop.part is None else (stop.part,),
    symbols=lambda stop: (stop.plan.symbol,),
    opens=lambda _: False,
    begin=begin,
    wants=lambda _: (),
    item=item,
    progress=TrailStopProgress,
    end=end,
    changed=lambda _: (TrailStopChanged, {}),
    notice=notice,
    seen_us=lambda stop: stop.seen_us or None,
    claim=lambda stop: stop.plan.position_id,
    position=lambda command: command.position_id,
)
