"""The one child of a chase on its way: asked for, repeated, cancelled, followed by another attempt or by the end.

Owns the life of a child's name: it expires once, at a moment that is saved with the name, however often the request is
repeated and whoever repeats it. A name that may have been asked for is only given up when risk has refused it or orders
has told its end. Never follows a quote.
"""

from decimal import Decimal

from msgspec.structs import replace

from pms_algos.domain.actions import (
    Action,
    Ask,
    CancelChild,
    Ended,
    EndReason,
    Market,
    Save,
    Started,
)
from pms_algos.domain.chase_price import approved_range, target_price
from pms_algos.domain.chase_state import Chase, ChasePlan, Child, Refusal, absorb
from pms_common.contracts.errors import ErrorCode

ASK_LIFE_MS = 10_000
"""The default life of what opens risk (contract §1)."""
ASK_AGAIN_MS = 5_000
"""Unanswered for this long, a request is repeated: under the same name it is the same order."""
OVERTAKEN = Refusal(ErrorCode.CANCELLED_BEFORE_SEND.name, "It ended before its first order was at the exchange.")
_TOO_LATE = Refusal(ErrorCode.EXPIRED_COMMAND.name, ErrorCode.EXPIRED_COMMAND.meaning)

Decision = tuple[Chase, tuple[Action, ...]]


def closed(plan: ChasePlan, market: Market) -> bool:
    """Whether the gate forbids asking and moving: halted for all, reducing for what may open."""
    return shut(market, plan.reduce_only)


def shut(market: Market, reduce_only: bool) -> bool:
    """Whether the gate is shut for orders that may only reduce, or for others."""
    return market.gate == "halted" or (market.gate == "reducing" and not reduce_only)


def passes(error: ErrorCode) -> bool:
    """Whether a refusal may pass by itself. A frozen account holds back what runs, and does not end it."""
    return error.retryable or error is ErrorCode.ACCOUNT_FROZEN


def never_asked(child: Child) -> bool:
    """Whether nobody but the journal can have heard of the child."""
    return child.phase in {"reserved", "saved"} and not child.asked_ms


def wake(chase: Chase, at_ms: int) -> Chase:
    """Ask to be woken; the same object where that is asked for already."""
    return chase if chase.wake_ms == at_ms else replace(chase, wake_ms=at_ms)


def await_market(chase: Chase) -> Chase:
    """A saved child waits for a price or a gate. Where somebody waits for its outcome, not longer than it may live."""
    return chase if chase.answered and not chase.child.asked_ms else wake(chase, chase.child.expires_ms)


def ask(chase: Chase, market: Market, now_ms: int) -> Decision:
    """Ask for the saved child, where there is a price, no pause is running and the gate is open."""
    child, plan, tick = chase.child, chase.plan, market.spec.tick_size
    late = now_ms >= child.expires_ms
    if late and (child.asked_ms or not chase.answered):
        return overdue(chase, now_ms)
    price = target_price(plan, market)
    if price is None or closed(plan, market):
        return await_market(chase), ()
    if now_ms < chase.retry_ms:
        return wake(chase, chase.retry_ms), ()
    if late:
        return next_attempt(chase, chase.refusals, now_ms)
    if plan.at_market:
        return repeat(chase, now_ms)
    lowest, highest = approved_range(plan, price, tick)
    return repeat(replace(chase, child=replace(child, price=price, lowest=lowest, highest=highest)), now_ms)


def repeat(chase: Chase, now_ms: int) -> Decision:
    """Ask for the child by its name, on its terms, until its first expiry: risk refuses what comes later."""
    child, plan = chase.child, chase.plan
    lowest, highest = (child.lowest, child.highest) if plan.max_distance_pct else (None, None)
    action = Ask(child.number, child.attempt, _asked_price(chase), child.quantity, lowest, highest, child.expires_ms)
    asked = replace(child, phase="asked", asked_ms=now_ms)
    return replace(chase, child=asked, moved_ms=now_ms, held=None, wake_ms=now_ms + ASK_AGAIN_MS), (action,)


def _asked_price(chase: Chase) -> Decimal | None:
    if chase.plan.at_market:
        return None
    return chase.child.price if chase.child.price is not None else chase.plan.anchor


def overdue(chase: Chase, now_ms: int) -> Decision:
    """The life of a saved child is over: find out what became of it, or give the command up that nobody carried out."""
    if chase.child.asked_ms:
        return repeat(chase, now_ms)
    if chase.answered:
        return chase, ()  # it gets another name when there is a price for it
    return finish(chase, "risk", _TOO_LATE)


def next_attempt(chase: Chase, refusals: int, retry_ms: int) -> Decision:
    """Another name for a child that will never be. A command that is not answered keeps its own expiry."""
    child = chase.child
    expires_ms = retry_ms + ASK_LIFE_MS if chase.answered else child.expires_ms
    again = Child(number=child.number, attempt=child.attempt + 1, quantity=child.quantity, expires_ms=expires_ms)
    following = replace(chase, child=again, refusals=refusals, retry_ms=retry_ms, held=None, version=chase.version + 1)
    return following, (Save(),)


def give_up(chase: Chase, reason: EndReason, now_ms: int) -> Decision:
    """End the chase: at once where no child can be alive, else when its child is final."""
    if never_asked(chase.child):
        return finish(chase, reason)
    ending = replace(chase, ending=reason, version=chase.version + 1)
    if chase.child.phase == "cancelling":
        return ending, (Save(),)
    return cancel_child(ending, now_ms, Save())


def cancel_child(chase: Chase, now_ms: int, *before: Action) -> Decision:
    """Have the child cancelled, wherever it is on its way."""
    child = chase.child
    cancelling = replace(child, phase="cancelling", target=None, asked_ms=now_ms)
    changed = replace(chase, child=cancelling, held=None, wake_ms=now_ms + ASK_AGAIN_MS)
    return changed, (*before, CancelChild(child.number, child.attempt))


def insist_on_cancel(chase: Chase, now_ms: int) -> Decision:
    """Cancel again, and ask for a child that nobody has seen, with a life that is over.

    Whoever has the order tells its state; where nobody has it, it is refused as expired. Either way it becomes final.
    """
    child = chase.child
    cancel = CancelChild(child.number, child.attempt)
    again = replace(chase, child=replace(child, asked_ms=now_ms), wake_ms=now_ms + ASK_AGAIN_MS)
    if child.seen:
        return again, (cancel,)
    over = Ask(
        child.number, child.attempt, _asked_price(chase), child.quantity, child.lowest, child.highest, now_ms - 1
    )
    return again, (cancel, over)


def finish(chase: Chase, outcome: EndReason, refusal: Refusal | None = None) -> Decision:
    """The chase is over; a command that has no answer gets one."""
    over = replace(absorb(chase), outcome=outcome, wake_ms=0, version=chase.version + 1)
    over = replace(over, child=replace(over.child, phase="final", target=None))
    over = replace(over, refusal=refusal)
    if over.answered:
        return over, (Save(), Ended())
    if over.executed:
        return replace(over, answered=True), (Save(), Started(), Ended())
    return replace(over, refusal=refusal or OVERTAKEN), (Save(), Ended())
