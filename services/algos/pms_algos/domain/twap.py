"""TWAP: lots over time, each a limit order first and the market for what that leaves.

A lot executes what is due by its end less what was executed: so what rounding or a minimum left goes with the next one,
and the sum is the parent's to the step. One lot at a time; one that comes late (its price was beyond the limit, nothing
ran, the account was paused) is followed at twice the pace at most, never by all at once. A lot that fails is tried
again, then given up and told; it is never counted. What refuses it for now only (a service that is handed over) is
waited for, however long.
A pure plan, see `events`. `twap_lot` knows sizes and prices, `twap_schedule` makes the schedule.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from msgspec.structs import replace

from pms_algos.domain.actions import Ended, Market, Notice, Progress, Save
from pms_algos.domain.chase import resumed
from pms_algos.domain.chase_child import shut
from pms_algos.domain.chase_state import ChasePlan
from pms_algos.domain.events import Cancelled, Event, Restarted, Scene, Woken
from pms_algos.domain.parts import Actions, Gathered, earliest, heard
from pms_algos.domain.twap_lot import beyond, less_than_a_step, limit_first, lot_quantity, near_price, taking
from pms_algos.domain.twap_state import Failure, Twap, TwapPlan

PATIENCE = Decimal("0.6")
"""Of an interval that a lot's limit order rests before the market takes what is left (reference, lot execution)."""
MIN_PATIENCE_MS = 3_000
"""The least of it (reference, lot execution), but never more than the interval."""
CATCH_UP = 2
"""How much faster than planned lots may follow each other that are late."""
MAX_TRIES = 3
RETRY_MS = 2_000
MARKET_PATIENCE_MS = 10_000

Decision = tuple[Twap, Actions]


@dataclass(frozen=True, slots=True)
class LotEnded(Notice):
    """A lot was executed, or given up."""

    success: bool
    kind: Literal["limit", "market"]


@dataclass(frozen=True, slots=True)
class Skipped(Notice):
    """A lot waits: the price is beyond the limit."""

    price: Decimal


def start(plan: TwapPlan) -> Decision:
    """A new TWAP; it is answered, and its first lot begins, when it is saved."""
    return Twap(plan=plan, version=1, next_ms=plan.started_ms), (Save(),)


def step(twap: Twap, event: Event, scene: Scene) -> Decision:
    """What an event makes of the TWAP."""
    if twap.outcome is not None:
        return twap, ()
    if isinstance(event, Restarted):
        part = resumed(twap.part, twap.part.answered) if twap.part is not None else None
        return replace(twap, part=part, answered=event.answered, wake_ms=0), ()
    gathered = Gathered()
    after = _go_on(_hear(twap, event, gathered, scene), gathered, scene)
    if after is twap and not isinstance(event, Woken):
        return twap, ()
    return _decided(after, gathered, scene.now_ms)


def _hear(twap: Twap, event: Event, gathered: Gathered, scene: Scene) -> Twap:
    """The event's own effect, and that on the order under way."""
    after, passed = heard(twap, event, gathered)
    if after.paused != twap.paused:
        after = replace(after, take=False)
    if after.part is None or passed is None:
        return after
    part = gathered.step(after.part, passed, scene)
    return after if part is after.part else replace(after, part=part)


def _decided(twap: Twap, gathered: Gathered, now_ms: int) -> Decision:
    actions = list(gathered.actions)
    noticed = any(isinstance(action, Notice) for action in actions)
    if gathered.changed and not noticed and twap.outcome is None and twap.answered:
        actions.append(Progress(changed=True))
    if gathered.saves:
        twap = replace(twap, version=twap.version + 1)
        actions.insert(0, Save())
    if twap.outcome is not None:
        actions.append(Ended())
        return replace(twap, wake_ms=0), tuple(actions)
    return replace(twap, wake_ms=_wake_ms(twap, now_ms)), tuple(actions)


def _wake_ms(twap: Twap, now_ms: int) -> int:
    part = twap.part
    if part is not None:
        over_ms = 0 if part.ending is not None else part.plan.started_ms + _patience_ms(twap)
        return earliest(part.wake_ms, over_ms)
    if twap.paused is not None:
        return 0
    if twap.next_ms > now_ms:
        return twap.next_ms
    told_again_ms = twap.skip_ms + twap.plan.interval_ms if twap.skip_ms else 0
    return told_again_ms if told_again_ms > now_ms else 0


def _patience_ms(twap: Twap) -> int:
    if twap.take:
        return max(MARKET_PATIENCE_MS, twap.plan.interval_ms)
    return max(int(PATIENCE * twap.plan.interval_ms), min(MIN_PATIENCE_MS, twap.plan.interval_ms))


# -- the lot under way


def _go_on(twap: Twap, gathered: Gathered, scene: Scene) -> Twap:
    part = twap.part
    if part is not None and not part.ended:
        if part.ending is None and scene.now_ms >= part.plan.started_ms + _patience_ms(twap):
            part = gathered.step(part, Cancelled("cancelled"), scene)
            twap = replace(twap, part=part)
        if not part.ended:
            return twap
    if part is not None:
        twap = _part_ended(twap, gathered, scene)
    if twap.ending is not None:
        gathered.saves = True
        return replace(twap, outcome=twap.ending)
    while twap.part is None and twap.answered and twap.paused is None and twap.outcome is None:
        before = twap
        twap = _next(twap, gathered, scene)
        if twap.lot == before.lot:
            break
    return twap


def _part_ended(twap: Twap, gathered: Gathered, scene: Scene) -> Twap:
    part = twap.part
    assert part is not None
    gathered.saves = gathered.changed = True
    over = replace(
        twap,
        part=None,
        executed=twap.executed + part.total_executed,
        cost=twap.cost + part.total_cost,
    )
    if twap.ending is not None or twap.paused is not None:
        return over
    kind: Literal["limit", "market"] = "market" if twap.take else "limit"
    spec, price = scene.spec(twap.plan.symbol), part.fill_price or part.plan.anchor
    if part.outcome == "filled" or (spec is not None and not lot_quantity(over, price, spec)):
        if part.outcome == "filled" and spec is not None and lot_quantity(over, price, spec):
            return over  # it was cut to the largest order: the rest of the lot follows
        return _lot_ended(over, gathered, scene.now_ms, LotEnded(str(twap.lot + 1), success=True, kind=kind))
    if part.outcome == "cancelled" and (not twap.take or twap.plan.price_limit is not None):
        return replace(over, take=not twap.take)
    return _failed(over, gathered, scene.now_ms, kind)


def _lot_ended(twap: Twap, gathered: Gathered, now_ms: int, ended: LotEnded) -> Twap:
    filled = twap.filled_lots + 1 + twap.merged if ended.success else twap.filled_lots
    gathered.actions.append(ended)
    return _following(replace(twap, filled_lots=filled, merged=0), now_ms)


def _following(twap: Twap, now_ms: int) -> Twap:
    """The next lot is due at its time, or so long after the last one began that lateness is made up for slowly."""
    plan, lot = twap.plan, twap.lot + 1
    due_ms = plan.lots[lot].due_ms if lot < len(plan.lots) else now_ms
    next_ms = max(due_ms, twap.begun_ms + plan.interval_ms // CATCH_UP) if twap.begun_ms else due_ms
    return replace(twap, lot=lot, tries=0, take=False, skip_ms=0, next_ms=next_ms)


def _failed(twap: Twap, gathered: Gathered, now_ms: int, kind: Literal["limit", "market"]) -> Twap:
    tries = twap.tries if gathered.passes else twap.tries + 1
    if tries < MAX_TRIES:
        return replace(twap, tries=tries, take=False, next_ms=now_ms + (RETRY_MS << tries))
    why = gathered.refusal or "It was not executed in time"
    given_up = replace(
        twap,
        given_up=twap.given_up + twap.due,
        failures=(*twap.failures, Failure(twap.lot + 1, why)),
    )
    return _lot_ended(given_up, gathered, now_ms, LotEnded(str(twap.lot + 1), success=False, kind=kind))


# -- the next one


def _next(twap: Twap, gathered: Gathered, scene: Scene) -> Twap:
    """Begin the lot that is due, pass one that is too small on to the next, or wait."""
    plan, now_ms = twap.plan, scene.now_ms
    if twap.lot == len(plan.lots):
        gathered.saves = True
        return replace(twap, outcome="filled")
    if now_ms < twap.next_ms:
        return twap
    market = scene.market(plan.symbol)
    if market is None or shut(market, reduce_only=False):
        return twap
    if beyond(plan, market):
        return _skip(twap, gathered, near_price(plan.side, market), now_ms)
    price = near_price(plan.side, market)
    quantity = lot_quantity(twap, price, market.spec)
    if not quantity:
        return _merge(twap, gathered, now_ms, executed=less_than_a_step(twap, price, market.spec))
    return _begin(twap, quantity, market, gathered, now_ms)


def _skip(twap: Twap, gathered: Gathered, price: Decimal, now_ms: int) -> Twap:
    if twap.skip_ms and now_ms < twap.skip_ms + twap.plan.interval_ms:
        return twap
    skipped = twap.skipped + 1
    gathered.saves = True
    gathered.actions.append(Skipped(f"skip-{skipped}", price))
    return replace(twap, skipped=skipped, skip_ms=now_ms)


def _merge(twap: Twap, gathered: Gathered, now_ms: int, *, executed: bool) -> Twap:
    """Too small to be an order: it goes with the next lot. What the last one leaves is the remainder.

    `executed`: it went with an earlier one.
    """
    gathered.saves = True
    filled = twap.filled_lots + 1 + twap.merged if executed else twap.filled_lots
    return _following(replace(twap, filled_lots=filled, merged=0 if executed else twap.merged + 1), now_ms)


def _begin(twap: Twap, quantity: Decimal, market: Market, gathered: Gathered, now_ms: int) -> Twap:
    plan, price = twap.plan, limit_first(twap.plan, market)
    at_market = False
    if twap.take:
        at_market, price = taking(plan, market)
    order = ChasePlan(
        algo_id=f"{plan.algo_id}:{twap.parts}",
        account_id=plan.account_id,
        request_id="",
        traceparent=plan.traceparent,
        symbol=plan.symbol,
        side=plan.side,
        quantity=quantity,
        leverage=plan.leverage,
        limit_price=None if at_market else price,
        at_market=at_market,
        parent_id=plan.basket_id or plan.algo_id,
        origin="TWAP",
        anchor=price,
        started_ms=now_ms,
    )
    gathered.changed = True
    begun_ms = twap.begun_ms if twap.take or twap.tries else now_ms
    return replace(twap, part=gathered.begin(order, now_ms), parts=twap.parts + 1, begun_ms=begun_ms, skip_ms=0)
