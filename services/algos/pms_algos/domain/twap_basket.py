"""Basket TWAP: several TWAPs with one schedule, begun, paused and ended as one.

Each leg keeps its own sum; a leg that fails does not hold the others. A pure plan, see `events`.
"""

import msgspec
from msgspec.structs import replace

from pms_algos.domain import twap as legs_of
from pms_algos.domain.actions import Ended, Progress, Save, Started
from pms_algos.domain.events import Event, LookedUp, Quoted, Restarted, Saved, Scene
from pms_algos.domain.parts import Actions, PlanAction, Within, earliest
from pms_algos.domain.state import State
from pms_algos.domain.times import UtcMs
from pms_algos.domain.twap_state import Twap, TwapPlan


class TwapBasketPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered: a TWAP a leg."""

    algo_id: str
    account_id: str
    request_id: str
    name: str
    legs: tuple[TwapPlan, ...]
    replaces_id: str | None = None
    started_ms: UtcMs
    traceparent: str = ""


class TwapBasket(State, frozen=True, kw_only=True):
    """A basket TWAP; what its legs have done is in them."""

    plan: TwapBasketPlan
    legs: tuple[Twap, ...]

    @property
    def filled_lots(self) -> int:
        """Lots that all legs have executed."""
        return min(leg.filled_lots for leg in self.legs)


Decision = tuple[TwapBasket, Actions]


def start(plan: TwapBasketPlan) -> Decision:
    """A new basket; its legs begin when it is saved."""
    legs = tuple(legs_of.start(leg)[0] for leg in plan.legs)
    return TwapBasket(plan=plan, legs=legs, version=1), (Save(),)


def step(basket: TwapBasket, event: Event, scene: Scene) -> Decision:
    """What an event makes of the basket."""
    if basket.outcome is not None:
        return basket, ()
    actions: list[PlanAction] = []
    legs = []
    for leg in basket.legs:
        others = isinstance(event, Quoted) and event.symbol != leg.plan.symbol
        after, wanted = (leg, ()) if others else legs_of.step(leg, event, scene)
        legs.append(after)
        actions += wanted
    if all(after is leg for after, leg in zip(legs, basket.legs, strict=True)):
        return basket, ()
    return _decided(replace(basket, legs=tuple(legs)), event, actions)


def _decided(basket: TwapBasket, event: Event, wanted: list[PlanAction]) -> Decision:
    first = basket.legs[0]
    basket = replace(
        basket,
        paused=next((leg.paused for leg in basket.legs if leg.outcome is None), None),
        ending=next((leg.ending for leg in basket.legs if leg.ending is not None), None),
        wake_ms=earliest(*(leg.wake_ms for leg in basket.legs)),
    )
    if isinstance(event, Restarted):
        return replace(basket, answered=event.answered), ()
    actions: list[PlanAction] = [action for action in wanted if isinstance(action, Within)]
    if not basket.answered and first.answered and isinstance(event, Saved | LookedUp):
        basket = replace(basket, answered=True)
        actions.append(Started())
    if all(leg.outcome is not None for leg in basket.legs):
        basket = replace(basket, outcome=basket.ending or "filled")
        actions.append(Ended())
    elif basket.answered and any(not isinstance(action, Within | Save) for action in wanted):
        actions.append(Progress(changed=True))
    if any(isinstance(action, Save) for action in wanted):
        basket = replace(basket, version=basket.version + 1)
        actions.insert(0, Save())
    return basket, tuple(actions)
