"""Chase: one limit order that stays at its own quote, or an offset behind it, until all of it is filled.

Modes: `none` and `maintain` follow the quote both ways, `trail` only towards the market. The order is moved by
amending; where that cannot be done, it is cancelled and the remainder placed when it is final. Never two live children;
executed is the sum over all children, always.
A pure plan: each function takes the state and what happened and returns the new state with what is to be done; `step`
is the one the engine calls, and what other algos call for the chases they are made of.
`chase_quote` decides on ticks, `chase_child` about the child under way, `chase_price` knows prices.
"""

from msgspec.structs import replace

from pms_algos.domain.actions import Action, CancelChild, EndReason, Market, Progress, Save, Started
from pms_algos.domain.chase_child import (
    ASK_AGAIN_MS,
    ASK_LIFE_MS,
    Decision,
    await_market,
    cancel_child,
    finish,
    give_up,
    insist_on_cancel,
    next_attempt,
    overdue,
    passes,
    repeat,
    wake,
)
from pms_algos.domain.chase_price import grid, is_dust, range_from_cap
from pms_algos.domain.chase_quote import due_ms, on_quote, unmoved
from pms_algos.domain.chase_state import Chase, ChasePlan, Child, Refusal, absorb
from pms_algos.domain.events import (
    Cancelled,
    Event,
    LookedUp,
    Missing,
    Paused,
    Quoted,
    Refused,
    Restarted,
    Resumed,
    Saved,
    Scene,
    Told,
    Woken,
)
from pms_algos.domain.pauses import held_back, holds, let_go
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderUpdate, OrderView, SymbolSpec
from pms_common.contracts.errors import Category, ErrorCode
from pms_common.decimals import floor_to

__all__ = [
    "on_cancel",
    "on_child",
    "on_clock",
    "on_lookup_done",
    "on_missing",
    "on_pause",
    "on_quote",
    "on_refused",
    "on_resume",
    "on_saved",
    "resumed",
    "start",
    "step",
    "unmoved",
]

MAX_REFUSALS = 10
"""Refusals in a row, post-only ones included, after which the chase gives up."""
PAUSE_MS = 1_000
MAX_PAUSE_MS = 30_000

_E = ErrorCode
_KEEP_RESTING = frozenset(
    {_E.EXCHANGE_CAPACITY, _E.EXCHANGE_RATE_LIMITED, _E.EXCHANGE_UNAVAILABLE, _E.EXCHANGE_CLOCK, _E.INFRA_OVERLOADED}
    | {_E.INFRA_NOT_READY, _E.AMBIGUOUS_RESULT}
    | {_E.TRADING_HALTED, _E.TRADING_REDUCING, _E.SYMBOL_FROZEN, _E.EXPIRED_COMMAND}
)
"""Why an amend failed that says nothing against the order where it rests: the next tick tries again."""


def step(chase: Chase, event: Event, scene: Scene) -> Decision:
    """What an event makes of the chase."""
    symbol, now_ms = chase.plan.symbol, scene.now_ms
    decision: Decision = chase, ()
    match event:
        case Quoted():
            market = scene.market(symbol)
            if market is not None:
                decision = on_quote(chase, market, now_ms)
        case Told():
            decision = on_child(chase, event.number, event.attempt, event.update, scene.spec(symbol), now_ms)
        case Saved():
            decision = on_saved(chase, scene.market(symbol), now_ms)
        case Woken():
            decision = on_clock(chase, scene.market(symbol), now_ms)
        case Refused(_, number, attempt, amend, code, message):
            decision = on_refused(chase, number, attempt, amend, code, message, now_ms)
        case Cancelled():
            decision = on_cancel(chase, event.reason, now_ms)
        case Paused():
            decision = on_pause(chase, event.by, now_ms)
        case Resumed():
            decision = on_resume(chase, event.by, now_ms)
        case Missing():
            decision = on_missing(chase, now_ms)
        case Restarted():
            decision = resumed(chase, event.answered), ()
        case LookedUp():
            decision = on_lookup_done(chase, scene.market(symbol), now_ms)
    return decision


def start(plan: ChasePlan, expires_ms: int | None = None) -> Decision:
    """A new chase; its first child is named and saved before anybody hears of it. It expires with its command."""
    life_ms = expires_ms if expires_ms is not None else plan.started_ms + ASK_LIFE_MS
    return Chase(plan=plan, version=1, child=Child(quantity=plan.quantity, expires_ms=life_ms)), (Save(),)


def resumed(chase: Chase, answered: bool) -> Chase:
    """A saved chase after a restart: nothing is done before its child has been looked up."""
    child = replace(chase.child, phase="lookup", target=None)
    return replace(chase, child=child, held=None, wake_ms=0, answered=answered)


def on_saved(chase: Chase, market: Market | None, now_ms: int) -> Decision:
    """The newest save is durable: what it governs may be done."""
    if chase.ended or chase.child.phase != "reserved":
        return chase, ()
    saved = replace(chase, child=replace(chase.child, phase="saved"))
    if market is None:
        return await_market(saved), ()
    return on_quote(saved, market, now_ms)


def on_cancel(chase: Chase, reason: EndReason, now_ms: int) -> Decision:
    """End the chase; it ends when its child is final, and as filled if the fill was faster."""
    if chase.ending is not None or chase.ended:
        return chase, ()
    return give_up(chase, reason, now_ms)


def on_pause(chase: Chase, by: str, now_ms: int) -> Decision:
    """Take the order back and wait."""
    if chase.ended or chase.ending is not None or holds(chase.paused, by):
        return chase, ()
    paused = replace(chase, paused=held_back(chase.paused, by), version=chase.version + 1, progress_ms=now_ms)
    told = (Save(), Progress(changed=True))
    if chase.paused is None and chase.child.phase in {"asked", "live"}:
        return cancel_child(paused, now_ms, *told)
    return paused, told


def on_resume(chase: Chase, by: str, now_ms: int) -> Decision:
    """Go on for the remainder, with the next price, when nobody else holds it back."""
    paused = let_go(chase.paused, by)
    if chase.ended or paused == chase.paused:
        return chase, ()
    following = replace(chase, paused=paused, version=chase.version + 1, progress_ms=now_ms)
    return following, (Save(), Progress(changed=True))


def on_clock(chase: Chase, market: Market | None, now_ms: int) -> Decision:
    """The time the state asked to be woken at has come: it is asked for no longer, and hides no other one."""
    child = chase.child
    if chase.ended:
        return chase, ()
    if chase.wake_ms <= now_ms:
        chase = replace(chase, wake_ms=0)
    if child.phase == "cancelling":
        return insist_on_cancel(chase, now_ms)
    if child.phase == "asked" and now_ms - child.asked_ms >= ASK_AGAIN_MS:
        return repeat(chase, now_ms)
    if child.phase == "saved" and now_ms >= child.expires_ms and market is None:
        return overdue(chase, now_ms)
    return on_quote(chase, market, now_ms) if market is not None else (chase, ())


def on_lookup_done(chase: Chase, market: Market | None, now_ms: int) -> Decision:
    """After a restart, all that lives has been told. A child nobody ever saw is asked for again, by its name."""
    child = chase.child
    if child.phase != "lookup":
        return chase, ()
    if chase.ending is not None or chase.paused is not None:
        return insist_on_cancel(replace(chase, child=replace(child, phase="cancelling")), now_ms)
    if child.seen:
        return cancel_child(chase, now_ms)
    return on_saved(replace(chase, child=replace(child, phase="reserved", asked_ms=now_ms)), market, now_ms)


def on_missing(chase: Chase, now_ms: int) -> Decision:
    """Orders has told all that lives, and the child was not among it: it ended unseen.

    A cancel makes its owner tell how; the remainder follows when that is known.
    """
    if chase.ended or not chase.child.seen or chase.child.phase not in {"asked", "live"}:
        return chase, ()
    return cancel_child(chase, now_ms)


def on_child(
    chase: Chase, number: int, attempt: int, update: OrderUpdate, spec: SymbolSpec | None, now_ms: int
) -> Decision:
    """An update of a child. Earlier children and attempts are over; one that is alive all the same is cancelled."""
    child, order = chase.child, update.order
    if chase.ended or (number, attempt) != (child.number, child.attempt) or child.phase in {"reserved", "final"}:
        return chase, () if order.state in FINAL_STATES else (CancelChild(number, attempt),)
    grown = order.executed_quantity > child.executed
    if grown:
        child = replace(child, executed=order.executed_quantity, average=order.average_price)
    chase = replace(chase, child=replace(child, seen=True))
    if order.state in FINAL_STATES:
        return _on_final(chase, update, spec, now_ms)
    if update.cause == "amend_failed":
        return _on_amend_failed(chase, update, now_ms)
    if update.cause == "unknown" or order.state in {"placing", "unknown"}:
        return chase, ()
    return _on_live(chase, order, update.cause == "amended", grown, spec, now_ms)


def _on_live(
    chase: Chase, order: OrderView, amended: bool, grown: bool, spec: SymbolSpec | None, now_ms: int
) -> Decision:
    child = chase.child
    price = order.price if order.price is not None else child.price
    changed = amended or grown or price != child.price
    arrived = price == child.target
    # risk may have placed less than was asked for (`ChildOrder`): what is moved is the order as it is
    target = None if arrived or amended else child.target
    child = replace(child, price=price, target=target, quantity=order.quantity)
    if child.lowest is None and price is not None and spec is not None:
        lowest, highest = range_from_cap(chase.plan, price, order.price_cap, spec.tick_size)
        child = replace(child, lowest=lowest, highest=highest)
    fresh = child.phase not in {"cancelling", "live"}
    if fresh:
        child = replace(child, phase="live")
    actions: list[Action] = []
    if not chase.answered:
        actions += (Started(), Save())
        chase = replace(chase, answered=True, version=chase.version + 1)
    if fresh or changed:
        actions.append(Progress(changed=True))
        chase = replace(chase, progress_ms=now_ms)
    chase = replace(chase, child=child, reprices=chase.reprices + amended)
    if amended and chase.held is None:
        chase = wake(chase, due_ms(chase))  # what the quote does until then need not be looked at
    if fresh and (chase.ending is not None or chase.paused is not None):
        return cancel_child(chase, now_ms, *actions)
    return chase, tuple(actions)


def _on_amend_failed(chase: Chase, update: OrderUpdate, now_ms: int) -> Decision:
    """The order rests where it was. Where trying again cannot help, cancel it and place the remainder after that."""
    chase = replace(chase, child=replace(chase.child, target=None))
    if chase.child.phase != "live":
        return chase, ()
    if _known(update.error_code or "") in _KEEP_RESTING:
        return replace(chase, retry_ms=now_ms + PAUSE_MS), ()
    return cancel_child(chase, now_ms)


def _on_final(chase: Chase, update: OrderUpdate, spec: SymbolSpec | None, now_ms: int) -> Decision:
    """The child is over: finished, given up, or the remainder goes on as the next child."""
    child, state = chase.child, update.order.state
    price = update.order.price or update.order.average_price or child.price or chase.plan.anchor
    if state in {"rejected", "failed"} and not child.executed:
        return _on_try_failed(chase, update.error_code or "EXCHANGE_REJECTED", update.error or "", now_ms)
    if chase.remaining <= 0 or (spec is not None and is_dust(chase.plan, chase.remaining, price, spec)):
        return finish(chase, "filled" if chase.total_executed else chase.ending or "error")
    if chase.ending is not None:
        return finish(chase, chase.ending)
    at_once = child.phase in {"asked", "live"} and now_ms - child.asked_ms < PAUSE_MS
    if state == "expired" and not child.executed and chase.plan.post_only and at_once:
        return _on_try_failed(chase, ErrorCode.EXCHANGE_POST_ONLY.name, update.reason or "", now_ms)
    pause = 0 if child.phase == "cancelling" else PAUSE_MS
    return _next_child(chase, spec, now_ms + pause)


def _next_child(chase: Chase, spec: SymbolSpec | None, retry_ms: int) -> Decision:
    chase = absorb(chase)
    quantity = floor_to(chase.remaining, grid(chase.plan, spec)[0]) if spec is not None else chase.remaining
    child = Child(number=chase.child.number + 1, quantity=quantity, expires_ms=retry_ms + ASK_LIFE_MS)
    following = replace(chase, child=child, refusals=0, retry_ms=retry_ms, held=None, version=chase.version + 1)
    return following, (Save(), Progress(changed=True))


def on_refused(chase: Chase, number: int, attempt: int, amend: bool, code: str, message: str, now_ms: int) -> Decision:
    """Risk refused the child, or an amend beyond what it had approved."""
    child = chase.child
    if chase.ended or (number, attempt) != (child.number, child.attempt):
        return chase, ()
    if not amend:
        return (chase, ()) if child.seen or child.phase == "reserved" else _on_try_failed(chase, code, message, now_ms)
    if child.phase != "live":
        return chase, ()
    chase, error = replace(chase, child=replace(child, target=None)), _known(code)
    if error is ErrorCode.APPROVAL_EXCEEDED:
        return cancel_child(chase, now_ms)  # the remainder is approved anew, around its own price
    if passes(error):
        return replace(chase, retry_ms=now_ms + PAUSE_MS), ()
    return on_cancel(chase, "risk", now_ms)


def _on_try_failed(chase: Chase, code: str, message: str, now_ms: int) -> Decision:
    """A child that was never executed and never will be: try it again, or give up."""
    error = _known(code)
    if chase.ending is not None:
        return finish(chase, chase.ending)
    post_only = error is ErrorCode.EXCHANGE_POST_ONLY and chase.plan.post_only
    tries_left = chase.refusals + 1 < MAX_REFUSALS
    if tries_left and (post_only or (passes(error) and chase.answered)):
        pause = chase.plan.min_interval_ms if post_only else min(PAUSE_MS << chase.refusals, MAX_PAUSE_MS)
        return next_attempt(chase, chase.refusals + 1, now_ms + pause)
    return finish(chase, _reason(error), Refusal(error.name, message or error.meaning))


def _reason(error: ErrorCode) -> EndReason:
    if error in {ErrorCode.REDUCE_ONLY_REJECTED, ErrorCode.EXCHANGE_REDUCE_ONLY, ErrorCode.POSITION_CLOSED}:
        return "position_closed"
    return "error" if error.category is Category.EXCHANGE else "risk"


def _known(code: str) -> ErrorCode:
    """The code of the one vocabulary; what is not in it is the exchange's refusal."""
    return ErrorCode.__members__.get(code, ErrorCode.EXCHANGE_REJECTED)
