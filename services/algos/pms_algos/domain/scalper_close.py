"""How a scalper that ends closes what it opened: its own net, never more than the position is by now.

Owns that order and its few tries. Pure.
"""

from msgspec.structs import replace

from pms_algos.domain.chase_state import ChasePlan
from pms_algos.domain.events import PositionSide, Scene
from pms_algos.domain.parts import Gathered
from pms_algos.domain.scalper_state import ZERO, Scalper
from pms_common.decimals import floor_to

MAX_TRIES = 3


def close_what_it_opened(scalper: Scalper, gathered: Gathered, scene: Scene) -> Scalper:
    """The next step towards that; `close_positions` is taken back where there is nothing left to be done."""
    closer = scalper.closer
    if closer is not None and not closer.ended:
        return scalper
    if closer is not None:
        gathered.saves = True
        done = closer.outcome == "filled"
        bought = closer.total_executed if closer.plan.side == "BUY" else -closer.total_executed
        tries = scalper.close_tries + 1
        scalper = replace(scalper, closer=None, closed_positions=done, close_tries=tries, net=scalper.net + bought)
        if done or tries >= MAX_TRIES:
            return replace(scalper, close_positions=False)
    return _begin(scalper, gathered, scene)


def _begin(scalper: Scalper, gathered: Gathered, scene: Scene) -> Scalper:
    plan, positions, market = scalper.plan, scene.held(), scene.market(scalper.plan.symbol)
    if positions is None or market is None:
        return scalper
    side: PositionSide = "LONG" if scalper.net > 0 else "SHORT"
    held = next((held for held in positions if held.symbol == plan.symbol and held.side == side), None)
    quantity = ZERO if held is None else min(abs(scalper.net), held.quantity)
    quantity = floor_to(quantity, market.spec.market_step_size or market.spec.step_size)
    if market.spec.market_max_quantity:
        quantity = min(quantity, market.spec.market_max_quantity)
    gathered.saves = True
    if not quantity:
        return replace(scalper, close_positions=False)
    order = ChasePlan(
        algo_id=f"{plan.algo_id}:{scalper.parts}",
        account_id=plan.account_id,
        request_id="",
        symbol=plan.symbol,
        side="SELL" if side == "LONG" else "BUY",
        quantity=quantity,
        leverage=plan.leverage,
        reduce_only=True,
        at_market=True,
        parent_id=plan.algo_id,
        origin="SCALPER",
        anchor=market.bid,
        started_ms=scene.now_ms,
    )
    return replace(scalper, closer=gathered.begin(order, scene.now_ms), parts=scalper.parts + 1)
