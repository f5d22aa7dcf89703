"""A chase on a tick: whether to ask for, move or give up its order.

Owns modes, thresholds and the hold against flicker. Never saves: between a tick and an amend stands no database.
Where nothing is to be done the same state object comes back.
"""

from decimal import Decimal

from msgspec.structs import replace

from pms_algos.domain.actions import Action, Amend, Ask, CancelChild, Market, Progress, Save
from pms_algos.domain.chase_price import approved_range, declared_range, distance_pct, own_quote, target_price
from pms_algos.domain.chase_state import Chase, ChasePlan

NOISE = Decimal("0.00001")
"""A move of less than 0.001 % is not worth a request (reference, chase thresholds)."""
FLICKER_MS = 150
"""How long a move of one tick towards the market must last before it is followed (reference, chase throttles)."""
PROGRESS_MS = 1_000
AMEND_TIMEOUT_MS = 2_000
"""An amend unanswered for this long no longer blocks the next one; the newest target wins."""
ASK_LIFE_MS = 10_000
"""The default life of what opens risk (contract §1)."""
ASK_AGAIN_MS = 5_000
"""Unanswered for this long, a request is repeated: under the same name it is the same order."""

Decision = tuple[Chase, tuple[Action, ...]]


def on_quote(chase: Chase, market: Market, now_ms: int) -> Decision:
    """Best prices, changed or merely confirmed."""
    if chase.ending is not None or chase.ended:
        return chase, ()
    phase = chase.child.phase
    if _breached(chase.plan, market) and phase in {"saved", "asked", "live"}:
        ending = replace(chase, ending="distance_breached", version=chase.version + 1)
        return cancel_child(ending, now_ms, Save())
    if phase == "saved":
        return ask(chase, market, now_ms)
    if phase != "live":
        return chase, ()
    moved, actions = _follow(chase, market, now_ms)
    if not actions and now_ms - moved.progress_ms >= PROGRESS_MS:
        return replace(moved, progress_ms=now_ms), (Progress(changed=False),)
    return moved, actions


def _breached(plan: ChasePlan, market: Market) -> bool:
    limit = plan.max_distance_pct
    return bool(limit) and distance_pct(plan, own_quote(plan.side, market)) > limit


def closed(plan: ChasePlan, market: Market) -> bool:
    """Whether the gate forbids asking and moving: halted for all, reducing for what may open."""
    return market.gate == "halted" or (market.gate == "reducing" and not plan.reduce_only)


def ask(chase: Chase, market: Market, now_ms: int) -> Decision:
    """Ask for the saved child, where there is a price, no pause is running and the gate is open."""
    child, plan, tick = chase.child, chase.plan, market.spec.tick_size
    price = target_price(plan, market)
    if price is None or closed(plan, market):
        return chase, ()
    if now_ms < chase.retry_ms:
        return _wake(chase, chase.retry_ms), ()
    lowest, highest = approved_range(plan, price, tick)
    asked = replace(child, phase="asked", price=price, lowest=lowest, highest=highest, asked_ms=now_ms)
    declared = declared_range(plan, tick)
    action = Ask(child.number, child.attempt, price, child.quantity, *declared, now_ms + ASK_LIFE_MS)
    return replace(chase, child=asked, moved_ms=now_ms, held=None, wake_ms=now_ms + ASK_AGAIN_MS), (action,)


def cancel_child(chase: Chase, now_ms: int, *before: Action) -> Decision:
    """Have the child cancelled, wherever it is on its way."""
    child = chase.child
    cancelling = replace(child, phase="cancelling", target=None, asked_ms=now_ms)
    changed = replace(chase, child=cancelling, held=None, wake_ms=now_ms + ASK_AGAIN_MS)
    return changed, (*before, CancelChild(child.number, child.attempt))


def _follow(chase: Chase, market: Market, now_ms: int) -> Decision:
    child, plan = chase.child, chase.plan
    if child.target is not None and now_ms - chase.moved_ms < AMEND_TIMEOUT_MS:
        return chase, ()
    target = target_price(plan, market)
    resting = child.price
    if target is None or resting is None or closed(plan, market):
        return chase, ()
    toward = target > resting if plan.side == "BUY" else target < resting
    if abs(target - resting) < resting * NOISE or (plan.mode == "trail" and not toward):
        return (chase if chase.held is None else replace(chase, held=None)), ()
    due = max(chase.moved_ms + plan.min_interval_ms, chase.retry_ms)
    if now_ms < due:
        return _wake(chase, due), ()
    if toward and abs(target - resting) <= market.spec.tick_size and not _lasted(chase, target, now_ms):
        return _hold(chase, target, now_ms), ()
    return _move(chase, target, now_ms)


def _lasted(chase: Chase, target: Decimal, now_ms: int) -> bool:
    return chase.held == target and now_ms - chase.held_ms >= FLICKER_MS


def _hold(chase: Chase, target: Decimal, now_ms: int) -> Chase:
    if chase.held == target:
        return _wake(chase, chase.held_ms + FLICKER_MS)
    return replace(chase, held=target, held_ms=now_ms, wake_ms=now_ms + FLICKER_MS)


def _move(chase: Chase, target: Decimal, now_ms: int) -> Decision:
    child = chase.child
    approved = child.lowest is not None and child.highest is not None and child.lowest <= target <= child.highest
    amend = Amend(child.number, child.attempt, target, child.quantity, approved)
    moved = replace(child, target=target)
    return replace(chase, child=moved, moved_ms=now_ms, held=None, wake_ms=now_ms + AMEND_TIMEOUT_MS), (amend,)


def _wake(chase: Chase, at_ms: int) -> Chase:
    return chase if chase.wake_ms == at_ms else replace(chase, wake_ms=at_ms)
