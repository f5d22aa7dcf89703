"""Trailing stop: closes a whole position when the price comes back a given way from its best since activation.

One source of prices: the middle of best bid and ask. The extreme and its trigger move together, from activation on, and
only in favour of the position. It is kept in PostgreSQL while it moves, with the price it is of; after a restart the
stop is told how far the prices went since that one, seen or not, so a crash does not loosen it. Once it has fired that
is kept before anything is sent, and it closes what the position is then, again and again, until the position is gone.
With its position it ends, whoever closed that.
A pure plan, see `events`.
"""

from dataclasses import dataclass
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from pms_algos.domain.actions import Ended, Market, Notice, Progress, Save
from pms_algos.domain.chase import resumed
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_algos.domain.events import (
    Cancelled,
    Event,
    Held,
    LookedUp,
    Missed,
    PositionSide,
    Quoted,
    Restarted,
    Resumed,
    Saved,
    Scene,
)
from pms_algos.domain.parts import Actions, Gathered, earliest, heard, pause_ms
from pms_algos.domain.pauses import USER
from pms_algos.domain.state import State
from pms_algos.domain.times import UtcMs
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import floor_to

SAVE_MS = 100
"""How often a move is worth a row: what is not kept the stream of ticks tells again (`Missed`)."""
PROGRESS_MS = 1_000
SETTLE_MS = 1_000
"""After its order was filled: how long until a position that is still told must be what came in meanwhile."""
_HUNDRED = Decimal(100)


class TrailStopPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered. `side` is the position's."""

    algo_id: str
    account_id: str
    request_id: str
    position_id: str
    symbol: str
    side: PositionSide
    callback_pct: Decimal
    activation_price: Decimal | None = None
    replaces_id: str | None = None
    started_ms: UtcMs
    traceparent: str = ""


class TrailStop(State, frozen=True, kw_only=True):
    """A trailing stop. `extreme` is None until it is activated, `triggered` until it has fired; both are prices.

    `seen_us` is the feed's stamp of the price that the extreme is of, or of a later one from which on it is followed;
    `afresh`: the next price is its new extreme; `saved_ms`: when it was last written, `told`: the one readers know;
    `part` the order that closes, `tries` how many of them failed.
    """

    plan: TrailStopPlan
    extreme: Decimal | None = None
    seen_us: int = 0
    afresh: bool = False
    triggered: Decimal | None = None
    part: Chase | None = None
    parts: int = 0
    tries: int = 0
    retry_ms: UtcMs = 0
    dirty: bool = False
    saved_ms: UtcMs = 0
    told: Decimal | None = None
    progress_ms: UtcMs = 0

    @property
    def trigger(self) -> Decimal | None:
        """The price at which it fires."""
        if self.extreme is None:
            return None
        way = self.extreme * self.plan.callback_pct / _HUNDRED
        return self.extreme - way if self.plan.side == "LONG" else self.extreme + way


@dataclass(frozen=True, slots=True)
class CloseFailed(Notice):
    """It has fired, and its order was refused: it tries again."""

    error: str


Decision = tuple[TrailStop, Actions]


def start(plan: TrailStopPlan, market: Market) -> Decision:
    """A new stop, at once active where no activation price has to be reached."""
    new = TrailStop(plan=plan, version=1, seen_us=market.sent_us, saved_ms=plan.started_ms)
    stop = _follow(new, middle(market), market.sent_us)
    return replace(stop, dirty=False, triggered=None), (Save(),)


def middle(market: Market) -> Decimal:
    """The one price it looks at."""
    return (market.bid + market.ask) / 2


def step(stop: TrailStop, event: Event, scene: Scene) -> Decision:
    """What an event makes of the stop."""
    if stop.outcome is not None:
        return stop, ()
    if isinstance(event, Restarted):
        part = resumed(stop.part, stop.part.answered) if stop.part is not None else None
        return replace(stop, part=part, answered=event.answered, wake_ms=0), ()
    gathered = Gathered()
    after = _hear(stop, event, gathered, scene)
    after = _end(_close(_look(after, event, gathered, scene), event, gathered, scene), gathered, scene)
    if after is stop and not gathered.changed:
        return stop, ()
    return _decided(after, gathered, scene.now_ms)


def _hear(stop: TrailStop, event: Event, gathered: Gathered, scene: Scene) -> TrailStop:
    """The event's own effect, and that on the order that closes."""
    if isinstance(event, Missed):
        return _caught_up(stop, event, gathered)
    after, passed = heard(stop, event, gathered)
    if isinstance(event, Resumed) and after is not stop:
        after = _afresh(after, event, scene.market(stop.plan.symbol))
    if after.part is None or passed is None:
        return after
    part = gathered.step(after.part, passed, scene)
    return after if part is after.part else replace(after, part=part)


def _afresh(stop: TrailStop, event: Resumed, market: Market | None) -> TrailStop:
    """The user lets it go on from the present price, or the next one; what risk held back is as tight as it was.

    Either way what was quoted meanwhile is nothing to it.
    """
    if event.by == USER and stop.extreme is not None:
        stop = replace(stop, afresh=True, triggered=None)
    return stop if market is None else _begun(replace(stop, seen_us=market.sent_us), market)


def _begun(stop: TrailStop, market: Market) -> TrailStop:
    """It goes on from this price, where it is to go on afresh."""
    if not stop.afresh:
        return stop
    return replace(stop, extreme=middle(market), seen_us=market.sent_us, afresh=False, dirty=True)


def _caught_up(stop: TrailStop, event: Missed, gathered: Gathered) -> TrailStop:
    """Follow as far as prices went while nobody looked. Only one that is quoted now can fire it."""
    if stop.paused is not None or stop.ending is not None or stop.triggered is not None or stop.afresh:
        return stop
    followed = _follow(stop, event.highest if stop.plan.side == "LONG" else event.lowest, stop.seen_us)
    if followed.extreme == stop.extreme:
        return stop
    gathered.saves = gathered.changed = True
    return replace(followed, triggered=None)


# -- before it has fired


def _look(stop: TrailStop, event: Event, gathered: Gathered, scene: Scene) -> TrailStop:
    """Follow the price, and keep the extreme when that is due."""
    if stop.paused is not None or stop.ending is not None or not stop.answered or stop.triggered is not None:
        return stop
    if isinstance(event, Quoted | Saved | LookedUp | Resumed):
        market = scene.market(stop.plan.symbol)
        stop = stop if market is None else _looked(stop, market, gathered, scene.now_ms)
    if stop.dirty and scene.now_ms >= stop.saved_ms + SAVE_MS:
        gathered.saves = True
    return stop


def _looked(stop: TrailStop, market: Market, gathered: Gathered, now_ms: int) -> TrailStop:
    after = _follow(_begun(stop, market), middle(market), market.sent_us)
    if after.triggered is not None or (after.extreme is not None and stop.extreme is None):
        gathered.saves = gathered.changed = True
    elif after.extreme != after.told and now_ms >= stop.progress_ms + PROGRESS_MS:
        gathered.changed = True
    return after


def _follow(stop: TrailStop, price: Decimal, seen_us: int) -> TrailStop:
    """Activation, extreme and trigger at a price; the same object where nothing has changed."""
    plan, long = stop.plan, stop.plan.side == "LONG"
    if stop.extreme is None:
        at = plan.activation_price
        waits = at is not None and (price < at if long else price > at)
        return stop if waits else replace(stop, extreme=price, seen_us=seen_us, dirty=True)
    if price > stop.extreme if long else price < stop.extreme:
        return replace(stop, extreme=price, seen_us=seen_us, dirty=True)
    trigger = stop.trigger
    assert trigger is not None
    if price <= trigger if long else price >= trigger:
        return replace(stop, triggered=price)
    return stop


# -- after it has fired


def _close(stop: TrailStop, event: Event, gathered: Gathered, scene: Scene) -> TrailStop:
    """Have the position closed, whatever it is by now."""
    if stop.part is not None and stop.part.ended:
        stop = _order_ended(stop, gathered, scene.now_ms)
    waits = stop.part is not None or stop.paused is not None or stop.ending is not None or not stop.answered
    if stop.triggered is None or waits or scene.now_ms < stop.retry_ms:
        return stop
    held, spec = _position(stop, scene), scene.spec(stop.plan.symbol)
    if held is None or spec is None:
        return stop
    gathered.saves = True
    return replace(
        stop, part=gathered.begin(_order(stop, held, spec, scene.now_ms), scene.now_ms), parts=stop.parts + 1
    )


def _order(stop: TrailStop, held: Held, spec: SymbolSpec, now_ms: int) -> ChasePlan:
    assert stop.triggered is not None
    most = spec.market_max_quantity
    quantity = floor_to(held.quantity, spec.market_step_size or spec.step_size)
    return ChasePlan(
        algo_id=f"{stop.plan.algo_id}:{stop.parts}",
        account_id=stop.plan.account_id,
        request_id="",
        traceparent=stop.plan.traceparent,
        symbol=stop.plan.symbol,
        side="SELL" if stop.plan.side == "LONG" else "BUY",
        quantity=min(quantity, most) if most else quantity,
        leverage=held.leverage,
        reduce_only=True,
        at_market=True,
        parent_id=stop.plan.algo_id,
        origin="TRAIL_STOP",
        anchor=stop.triggered,
        started_ms=now_ms,
    )


def _order_ended(stop: TrailStop, gathered: Gathered, now_ms: int) -> TrailStop:
    part = stop.part
    assert part is not None
    gathered.saves = True
    over = replace(stop, part=None)
    if stop.paused is not None or stop.ending is not None:
        return over
    if part.outcome == "filled":
        return replace(over, tries=0, retry_ms=now_ms + SETTLE_MS)
    why = gathered.refusal or "The order that closes was not executed"
    gathered.actions.append(CloseFailed(str(stop.parts), why))
    return replace(over, tries=stop.tries + 1, retry_ms=now_ms + pause_ms(stop.tries))


# -- the end


def _position(stop: TrailStop, scene: Scene) -> Held | None:
    return next((held for held in scene.held() or () if held.position_id == stop.plan.position_id), None)


def _end(stop: TrailStop, gathered: Gathered, scene: Scene) -> TrailStop:
    """Nothing of it may be alive at its end."""
    gone = scene.held() is not None and _position(stop, scene) is None
    if stop.ending is None and gone:
        gathered.saves = True
        stop = replace(stop, ending="filled" if stop.triggered is not None else "position_closed")
        if stop.part is not None:
            stop = replace(stop, part=gathered.step(stop.part, Cancelled("position_closed"), scene))
    if stop.ending is None or (stop.part is not None and not stop.part.ended):
        return stop
    gathered.saves = True
    return replace(stop, outcome=stop.ending)


def _decided(stop: TrailStop, gathered: Gathered, now_ms: int) -> Decision:
    actions = list(gathered.actions)
    if gathered.changed and stop.outcome is None and stop.answered:
        stop = replace(stop, progress_ms=now_ms, told=stop.extreme)
        actions.append(Progress(changed=True))
    if gathered.saves:
        stop = replace(stop, version=stop.version + 1, dirty=False, saved_ms=now_ms)
        actions.insert(0, Save())
    if stop.outcome is not None:
        actions.append(Ended())
        return replace(stop, wake_ms=0), tuple(actions)
    closing_ms = stop.retry_ms if stop.triggered is not None and stop.retry_ms > now_ms else 0
    keeping_ms = stop.saved_ms + SAVE_MS if stop.dirty else 0
    part_ms = stop.part.wake_ms if stop.part is not None else 0
    return replace(stop, wake_ms=earliest(closing_ms, keeping_ms, part_ms)), tuple(actions)
