"""A chase on a tick: whether to ask for, move or give up its order.

Owns modes, thresholds and the hold against flicker. Never saves: between a tick and an amend stands no database.
Where nothing is to be done the same state object comes back.
"""

from decimal import Decimal

from msgspec.structs import replace

from pms_algos.domain.actions import Amend, Market, Progress
from pms_algos.domain.chase_child import Decision, ask, closed, give_up, wake
from pms_algos.domain.chase_price import distance_pct, own_quote, target_price
from pms_algos.domain.chase_state import Chase, ChasePlan

NOISE = Decimal("0.00001")
"""A move of less than 0.001 % is not worth a request (reference, chase thresholds)."""
FLICKER_MS = 150
"""How long a move of one tick towards the market must last before it is followed (reference, chase throttles)."""
PROGRESS_MS = 1_000
AMEND_TIMEOUT_MS = 2_000
"""An amend unanswered for this long no longer blocks the next one; the newest target wins."""
_WATCHED = frozenset({"saved", "asked", "live"})


def on_quote(chase: Chase, market: Market, now_ms: int) -> Decision:
    """Best prices, changed or merely confirmed."""
    phase = chase.child.phase
    if chase.ending is not None or chase.ended or (chase.paused is not None and phase == "saved"):
        return chase, ()
    if chase.paused is None and phase in _WATCHED and _breached(chase.plan, market):
        return give_up(chase, "distance_breached", now_ms)
    if phase == "saved":
        return ask(chase, market, now_ms)
    if phase != "live":
        return chase, ()
    moved, actions = _follow(chase, market, now_ms)
    if not actions and now_ms - moved.progress_ms >= PROGRESS_MS:
        return replace(moved, progress_ms=now_ms), (Progress(changed=False),)
    return moved, actions


def unmoved(chase: Chase, market: Market, now_ms: int) -> bool:
    """Whether `on_quote` would leave the chase as it is and ask for nothing: known of most at a fraction of its cost.

    It may say no where that is so, never yes where it is not; whatever the gate is.
    """
    child, plan, held = chase.child, chase.plan, chase.held
    if child.phase != "live" or chase.ending is not None or now_ms - chase.progress_ms >= PROGRESS_MS:
        return False
    if plan.max_distance_pct and _breached(plan, market):
        return False
    if child.target is not None:
        return now_ms - chase.moved_ms < AMEND_TIMEOUT_MS
    if held is None and chase.wake_ms > now_ms and chase.wake_ms == due_ms(chase):
        return True
    target, resting = target_price(plan, market), child.price
    if held is None or resting is None:
        return target is None or resting is None or _stays(plan, resting, target)
    waits = target == held and now_ms - chase.held_ms < FLICKER_MS and chase.wake_ms == chase.held_ms + FLICKER_MS
    return waits and now_ms >= due_ms(chase) and _flickers(plan, resting, held, market.spec.tick_size)


def _breached(plan: ChasePlan, market: Market) -> bool:
    limit = plan.max_distance_pct
    return bool(limit) and distance_pct(plan, own_quote(plan.side, market)) > limit


def _follow(chase: Chase, market: Market, now_ms: int) -> Decision:
    child, plan = chase.child, chase.plan
    if child.target is not None and now_ms - chase.moved_ms < AMEND_TIMEOUT_MS:
        return chase, ()
    target = target_price(plan, market)
    resting = child.price
    if target is None or resting is None or closed(plan, market):
        return chase, ()
    if _stays(plan, resting, target):
        return (chase if chase.held is None else replace(chase, held=None)), ()
    if now_ms < due_ms(chase):
        return wake(chase, due_ms(chase)), ()
    if _flickers(plan, resting, target, market.spec.tick_size) and not _lasted(chase, target, now_ms):
        return _hold(chase, target, now_ms), ()
    return _move(chase, target, now_ms)


def _stays(plan: ChasePlan, resting: Decimal, target: Decimal) -> bool:
    """Whether the order is where it should be, or near enough, or better."""
    if target == resting or abs(target - resting) < resting * NOISE:
        return True
    return plan.mode == "trail" and not _toward(plan, resting, target)


def _toward(plan: ChasePlan, resting: Decimal, target: Decimal) -> bool:
    return target > resting if plan.side == "BUY" else target < resting


def _flickers(plan: ChasePlan, resting: Decimal, target: Decimal, tick: Decimal) -> bool:
    """Whether the move may be taken back: of one tick, towards the market. If so it has to last."""
    return _toward(plan, resting, target) and abs(target - resting) <= tick


def due_ms(chase: Chase) -> int:
    """When the order may be moved again."""
    return max(chase.moved_ms + chase.plan.min_interval_ms, chase.retry_ms)


def _lasted(chase: Chase, target: Decimal, now_ms: int) -> bool:
    return chase.held == target and now_ms - chase.held_ms >= FLICKER_MS


def _hold(chase: Chase, target: Decimal, now_ms: int) -> Chase:
    if chase.held == target:
        return wake(chase, chase.held_ms + FLICKER_MS)
    return replace(chase, held=target, held_ms=now_ms, wake_ms=now_ms + FLICKER_MS)


def _move(chase: Chase, target: Decimal, now_ms: int) -> Decision:
    child = chase.child
    approved = child.lowest is not None and child.highest is not None and child.lowest <= target <= child.highest
    amend = Amend(child.number, child.attempt, target, child.quantity, approved)
    moved = replace(child, target=target)
    return replace(chase, child=moved, moved_ms=now_ms, held=None, wake_ms=now_ms + AMEND_TIMEOUT_MS), (amend,)
