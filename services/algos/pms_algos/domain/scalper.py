"""Scalper: layers of chases on both sides of the market, each placed again after its fill, through nine guards.

The leg of the start side opens at once; the other one closes, is armed by the first opening execution, and all its
layers together never claim more than the position. In neutral mode both legs open. What a guard forbids is not placed,
and where it stands against a live order, that is taken back.
A pure plan, see `events`. `scalper_guards` decides whether a layer may go, `scalper_geometry` where and how large it
is, `scalper_fills` what a fill leaves behind.
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from pms_algos.domain.actions import Ended, Progress, Save
from pms_algos.domain.chase import resumed
from pms_algos.domain.chase_child import shut
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_algos.domain.events import Cancelled, Event, LookedUp, PositionSide, Restarted, Saved, Scene, Woken
from pms_algos.domain.parts import Actions, Gathered, earliest, heard
from pms_algos.domain.scalper_close import close_what_it_opened
from pms_algos.domain.scalper_fills import MIN_INTERVAL_MS, ended, tell
from pms_algos.domain.scalper_geometry import armed
from pms_algos.domain.scalper_guards import Hold, Sight, judge, judge_live, overclaimed
from pms_algos.domain.scalper_state import Leg, Scalper, ScalperPlan, Slot
from pms_common.contracts.bus.orders import SymbolSpec

PROGRESS_MS = 1_000
LEGS: tuple[PositionSide, ...] = ("LONG", "SHORT")

Decision = tuple[Scalper, Actions]


def start(plan: ScalperPlan, price: Decimal, spec: SymbolSpec) -> Decision:
    """A new scalper; its layers are placed when it is saved."""
    opens = {side: plan.neutral_mode or side == plan.start_side for side in LEGS}
    legs = {side: armed(plan, side, price, spec) if opens[side] else Leg(side=side) for side in LEGS}
    return Scalper(plan=plan, version=1, long=legs["LONG"], short=legs["SHORT"]), (Save(),)


def step(scalper: Scalper, event: Event, scene: Scene) -> Decision:
    """What an event makes of the scalper."""
    if scalper.outcome is not None:
        return scalper, ()
    if isinstance(event, Restarted):
        return _each(scalper, lambda part: resumed(part, part.answered), answered=event.answered, wake_ms=0), ()
    gathered = Gathered(shows=True)
    after = _hear(scalper, event, gathered, scene)
    after = _tend(after, gathered, scene)
    if after is scalper and not gathered.saves and not isinstance(event, Woken):
        return scalper, ()
    return _decided(scalper, after, gathered, scene.now_ms)


# -- hearing


def _hear(scalper: Scalper, event: Event, gathered: Gathered, scene: Scene) -> Scalper:
    """The event's own effect, and that on the orders under way."""
    after, passed = heard(scalper, event, gathered)
    if isinstance(event, Saved):
        after = tell(after, gathered)
    elif isinstance(event, LookedUp) and after.untold:
        gathered.saves = True  # some may have come only now, and are not durable
    if isinstance(event, Cancelled):
        if after is not scalper:
            after = replace(after, close_positions=event.close_positions)
        elif scalper.close_positions and not event.close_positions:
            after, gathered.saves = replace(scalper, close_positions=False), True
    return after if passed is None else _each(after, lambda part: gathered.step(part, passed, scene))


def _each(scalper: Scalper, change: Callable[[Chase], Chase], **more: object) -> Scalper:
    """The scalper with each of its orders changed; the same object where none is."""
    for side in LEGS:
        leg = scalper.leg(side)
        slots = tuple([_changed(slot, change) for slot in leg.slots])
        if any(now is not before for now, before in zip(slots, leg.slots, strict=True)):
            scalper = _with(scalper, replace(leg, slots=slots))
    if scalper.closer is not None:
        closer = change(scalper.closer)
        scalper = scalper if closer is scalper.closer else replace(scalper, closer=closer)
    return replace(scalper, **more) if more else scalper


def _changed(slot: Slot, change: Callable[[Chase], Chase]) -> Slot:
    part = slot.part if slot.part is None else change(slot.part)
    return slot if part is slot.part else replace(slot, part=part)


def _with(scalper: Scalper, leg: Leg) -> Scalper:
    return replace(scalper, long=leg) if leg.side == "LONG" else replace(scalper, short=leg)


# -- tending


def _tend(scalper: Scalper, gathered: Gathered, scene: Scene) -> Scalper:
    """Take in what has ended, then place, take back and arm what there is to."""
    positions = tuple(held for held in scene.held() or () if held.symbol == scalper.plan.symbol)
    for side in LEGS:
        for slot in scalper.leg(side).slots:
            if slot.part is not None and slot.part.ended:
                scalper = ended(scalper, side, slot, positions, gathered, scene.now_ms)
    if scalper.ending is not None:
        return _finish(scalper, gathered, scene)
    market = scene.market(scalper.plan.symbol)
    if market is None or scalper.paused is not None or not scalper.answered:
        return scalper
    sight = Sight(scene.now_ms, (market.bid + market.ask) / 2, market.spec, positions)
    scalper = _arm(scalper, sight, gathered)
    for side in LEGS:
        scalper = _take_back(scalper, side, sight, gathered, scene)
        for layer in range(len(scalper.leg(side).slots)):
            slot = scalper.leg(side).slots[layer]
            if slot.part is None and _due(side, slot, sight) and not shut(market, slot.reduce_only):
                scalper = _place(scalper, side, slot, sight, gathered)
    return scalper


def _arm(scalper: Scalper, sight: Sight, gathered: Gathered) -> Scalper:
    """The closing leg is armed once, by the first execution of the opening one."""
    side: PositionSide = "SHORT" if scalper.plan.start_side == "LONG" else "LONG"
    opening = scalper.leg(scalper.plan.start_side)
    if scalper.leg(side).slots or not (opening.executed or any(slot.fills for slot in opening.slots)):
        return scalper
    gathered.saves = True
    return _with(scalper, armed(scalper.plan, side, sight.price, sight.spec))


def _due(side: PositionSide, slot: Slot, sight: Sight) -> bool:
    if slot.retry_ms is not None:
        return sight.now_ms >= slot.retry_ms
    return slot.pause == "no_position" and sight.against(side) is not None


def _place(scalper: Scalper, side: PositionSide, slot: Slot, sight: Sight, gathered: Gathered) -> Scalper:
    plan, leg = scalper.plan, scalper.leg(side)
    verdict = judge(scalper, leg, slot, sight)
    if isinstance(verdict, Hold):
        held = _held(slot, verdict)
        if held == slot:
            return scalper
        gathered.saves = True
        return _with(scalper, _put(leg, held))
    order = ChasePlan(
        algo_id=f"{plan.algo_id}:{scalper.parts}",
        account_id=plan.account_id,
        request_id="",
        traceparent=plan.traceparent,
        symbol=plan.symbol,
        side="BUY" if side == "LONG" else "SELL",
        quantity=verdict.quantity,
        leverage=plan.leverage,
        offset_pct=verdict.offset_pct,
        offset_ticks=verdict.offset_ticks,
        mode="maintain",
        min_interval_ms=MIN_INTERVAL_MS,
        reduce_only=slot.reduce_only,
        parent_id=plan.algo_id,
        origin="SCALPER",
        anchor=sight.price,
        started_ms=sight.now_ms,
    )
    part = gathered.begin(order, sight.now_ms)
    placed = replace(slot, part=part, pause=None, retry_ms=0, refill=False)
    return replace(_with(scalper, _put(leg, placed)), parts=scalper.parts + 1)


def _held(slot: Slot, hold: Hold) -> Slot:
    return replace(slot, pause=hold.reason, retry_ms=hold.until_ms, refill=slot.refill and hold.refill)


def _put(leg: Leg, slot: Slot) -> Leg:
    return replace(leg, slots=(*leg.slots[: slot.layer], slot, *leg.slots[slot.layer + 1 :]))


def _take_back(scalper: Scalper, side: PositionSide, sight: Sight, gathered: Gathered, scene: Scene) -> Scalper:
    """Guards act on live orders; and what closers claim beyond the position goes, the farthest layer first."""
    for slot in reversed(scalper.leg(side).slots):
        part, leg = slot.part, scalper.leg(side)
        if part is None or part.ending is not None or part.ended:
            continue
        hold = judge_live(scalper, leg, slot, sight)
        if hold is None and slot.reduce_only and scene.held() is not None and overclaimed(leg, sight.against(side)):
            hold = Hold("no_position", sight.now_ms)
        if hold is not None:
            gathered.saves = True
            stopped = gathered.step(part, Cancelled("cancelled"), scene)
            scalper = _with(scalper, _put(leg, replace(_held(slot, hold), part=stopped)))
    return scalper


# -- the end


def _finish(scalper: Scalper, gathered: Gathered, scene: Scene) -> Scalper:
    """It ends when no order of it is alive, and has closed what it opened where that was asked."""
    if any(slot.part is not None for side in LEGS for slot in scalper.leg(side).slots):
        return scalper
    if scalper.untold:
        return scalper  # its own end comes last
    if scalper.close_positions or scalper.closer is not None:
        scalper = close_what_it_opened(scalper, gathered, scene)
        if scalper.closer is not None or scalper.close_positions:
            return scalper
    gathered.saves = True
    return replace(scalper, outcome=scalper.ending)


def _decided(before: Scalper, scalper: Scalper, gathered: Gathered, now_ms: int) -> Decision:
    actions = list(gathered.actions)
    if scalper.outcome is not None:
        actions.append(Ended())
        wake_ms = 0
    else:
        wake_ms = _wake_ms(scalper, now_ms)
        changed = _shown(scalper) != _shown(before)
        if scalper.answered and (changed or now_ms >= scalper.progress_ms + PROGRESS_MS):
            actions.append(Progress(changed=changed))
            scalper = replace(scalper, progress_ms=now_ms)
    if gathered.saves:
        scalper = replace(scalper, version=scalper.version + 1)
        actions.insert(0, Save())
    return replace(scalper, wake_ms=wake_ms), tuple(actions)


def _shown(scalper: Scalper) -> object:
    """What readers are told at once when it changes."""
    slots = tuple(
        (slot.part is not None, slot.pause, slot.retries, slot.fills)
        for side in LEGS
        for slot in scalper.leg(side).slots
    )
    return scalper.answered, scalper.paused, scalper.ending, slots


def _wake_ms(scalper: Scalper, now_ms: int) -> int:
    retries = (slot.retry_ms or 0 for side in LEGS for slot in scalper.leg(side).slots if slot.part is None)
    waiting = (at_ms for at_ms in (*retries, scalper.close_retry_ms) if at_ms > now_ms)
    return earliest(*waiting, *(part.wake_ms for part in scalper.chases))
