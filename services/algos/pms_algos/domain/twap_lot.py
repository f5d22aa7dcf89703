"""Sizes and prices of a TWAP's lots.

Pure arithmetic on exact decimals. Source of the offsets: the reference's lot execution; minima are the exchange's.
"""

from decimal import Decimal

from pms_algos.domain.actions import Market
from pms_algos.domain.twap_state import ZERO, Twap, TwapPlan
from pms_common.contracts.bus.base import Side
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import floor_to, passive_price

FROM_TOUCH = Decimal("0.0002")
"""How far this side of the far touch a lot's limit order is placed."""


def near_price(side: Side, market: Market) -> Decimal:
    """What a lot would be executed at now: the far touch."""
    return market.ask if side == "BUY" else market.bid


def beyond(plan: TwapPlan, market: Market) -> bool:
    """Whether the price limit forbids a lot now."""
    if plan.price_limit is None:
        return False
    price = near_price(plan.side, market)
    return price > plan.price_limit if plan.side == "BUY" else price < plan.price_limit


def limit_first(plan: TwapPlan, market: Market) -> Decimal:
    """Where a lot's limit order rests."""
    away = near_price(plan.side, market) * FROM_TOUCH
    price = market.ask - away if plan.side == "BUY" else market.bid + away
    return _within(plan, price, market.spec.tick_size)


def taking(plan: TwapPlan, market: Market) -> tuple[bool, Decimal]:
    """How the market is taken: at market, or at the price limit where there is one; and the price expected."""
    price = near_price(plan.side, market)
    if plan.price_limit is None:
        return True, price
    return False, _within(plan, plan.price_limit, market.spec.tick_size)


def _within(plan: TwapPlan, price: Decimal, tick: Decimal) -> Decimal:
    if plan.price_limit is not None:
        price = min(price, plan.price_limit) if plan.side == "BUY" else max(price, plan.price_limit)
    return max(passive_price(plan.side, price, tick), tick)


def lot_quantity(twap: Twap, price: Decimal, spec: SymbolSpec) -> Decimal:
    """What the present lot has to order, on the grid of both kinds of order; 0 where that is too small to be one.

    What would leave less than an order for the lots that follow takes it along.
    """
    step = max(spec.step_size, spec.market_step_size)
    quantity = floor_to(_coins(twap, twap.due, price), step)
    everything = floor_to(_coins(twap, twap.left, price), step)
    if not _enough(everything - quantity, price, spec):
        quantity = everything
    if not _enough(quantity, price, spec):
        return ZERO
    most = [bound for bound in (spec.max_quantity, spec.market_max_quantity) if bound]
    return min([quantity, *(floor_to(bound, step) for bound in most)])


def less_than_a_step(twap: Twap, price: Decimal, spec: SymbolSpec) -> bool:
    """Whether all that is left is less than the symbol's quantities tell apart."""
    return _coins(twap, twap.left, price) < max(spec.step_size, spec.market_step_size)


def _coins(twap: Twap, amount: Decimal, price: Decimal) -> Decimal:
    return amount / price if twap.plan.in_usdt else amount


def _enough(quantity: Decimal, price: Decimal, spec: SymbolSpec) -> bool:
    least = max(spec.min_quantity, spec.market_min_quantity)
    return quantity > 0 and quantity >= least and quantity * price >= spec.min_notional
