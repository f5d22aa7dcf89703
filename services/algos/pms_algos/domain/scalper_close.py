"""How a scalper that ends closes what it opened: its own net, never more than the position is by now.

Owns that order, and those that follow while something is left: one that fails is tried again until nothing is left that
the exchange takes, or until the scalper is told to end without closing. Pure.
"""

from decimal import Decimal

from msgspec.structs import replace

from pms_algos.domain.chase_state import ChasePlan
from pms_algos.domain.events import Held, PositionSide, Scene
from pms_algos.domain.parts import Gathered, pause_ms
from pms_algos.domain.scalper_state import ZERO, Scalper
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import floor_to


def close_what_it_opened(scalper: Scalper, gathered: Gathered, scene: Scene) -> Scalper:
    """The next step towards that; `close_positions` is taken back where there is nothing left to be done."""
    closer = scalper.closer
    if closer is not None and not closer.ended:
        return scalper
    if closer is not None:
        gathered.saves = True
        done, tries = closer.outcome == "filled", scalper.close_tries
        bought = closer.total_executed if closer.plan.side == "BUY" else -closer.total_executed
        scalper = replace(
            scalper,
            closer=None,
            closed_positions=scalper.closed_positions or done,
            close_tries=0 if done else tries + 1,
            close_retry_ms=0 if done else scene.now_ms + pause_ms(tries),
            net=scalper.net + bought,
        )
    if not scalper.close_positions or scene.now_ms < scalper.close_retry_ms:
        return scalper
    return _begin(scalper, gathered, scene)


def _begin(scalper: Scalper, gathered: Gathered, scene: Scene) -> Scalper:
    plan, positions, market = scalper.plan, scene.held(), scene.market(scalper.plan.symbol)
    if positions is None or market is None:
        return scalper
    side: PositionSide = "LONG" if scalper.net > 0 else "SHORT"
    held = next((held for held in positions if held.symbol == plan.symbol and held.side == side), None)
    quantity = ZERO if held is None else _quantity(scalper, held, market.spec, market.bid)
    gathered.saves = True
    if not quantity:
        return replace(scalper, close_positions=False)
    order = ChasePlan(
        algo_id=f"{plan.algo_id}:{scalper.parts}",
        account_id=plan.account_id,
        request_id="",
        traceparent=plan.traceparent,
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


def _quantity(scalper: Scalper, held: Held, spec: SymbolSpec, price: Decimal) -> Decimal:
    """What one order may close; nothing where that is too little for the exchange and not the last of the position."""
    quantity = floor_to(min(abs(scalper.net), held.quantity), spec.market_step_size or spec.step_size)
    if quantity < held.quantity and quantity * price < spec.min_notional:
        return ZERO
    return min(quantity, spec.market_max_quantity) if spec.market_max_quantity else quantity
