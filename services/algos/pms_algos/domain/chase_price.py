"""Where a chase wants its order: prices, the range it may move in, and what is too small to trade.

Pure arithmetic on exact decimals. Source of the rules: the reference's chase pricing; filters are the exchange's.
"""

from decimal import Decimal

from pms_algos.domain.actions import Market
from pms_algos.domain.chase_state import ChasePlan
from pms_common.contracts.bus.base import Side
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import ceil_to, floor_to, passive_price

HUNDRED = Decimal(100)
DEFAULT_RANGE = Decimal("0.02")
"""An approval without a declared range covers the first price ± 2 %."""


def own_quote(side: Side, market: Market) -> Decimal:
    """The quote on the chase's own side: best bid of a BUY, best ask of a SELL."""
    return market.bid if side == "BUY" else market.ask


Place = tuple[Side, Decimal, int | None, bool]
"""Where orders stay that follow a quote: side, offset in percent, or in ticks, whether they may not cross."""


def place(plan: ChasePlan) -> Place:
    """Where the plan's order stays: plans of the same place have the same target."""
    return plan.side, plan.offset_pct, plan.offset_ticks, plan.post_only


def offset_price(where: Place, quote: Decimal, tick: Decimal) -> Decimal:
    """`quote` less (BUY) or plus (SELL) the offset, not yet on the grid."""
    side, offset_pct, offset_ticks, _ = where
    away = offset_ticks * tick if offset_ticks is not None else quote * offset_pct / HUNDRED
    return quote - away if side == "BUY" else quote + away


def target_price(plan: ChasePlan, market: Market) -> Decimal | None:
    """The price the order should have: on the grid, inside the filters, never better than the own quote.

    None where no such price exists. What does not follow has its price; at market it is the one it will meet.
    """
    if plan.at_market:
        return market.ask if plan.side == "BUY" else market.bid
    if plan.limit_price is not None:
        return plan.limit_price
    where = place(plan)
    if where not in market.targets:
        market.targets[where] = _target(where, market)
    return market.targets[where]


def _target(where: Place, market: Market) -> Decimal | None:
    side, _, _, post_only = where
    spec, quote = market.spec, own_quote(side, market)
    lower, upper = _bounds(spec, (market.bid + market.ask) / 2)
    price = passive_price(side, offset_price(where, quote, spec.tick_size), spec.tick_size)
    price = max(price, lower)
    if upper is not None:
        price = min(price, upper)
    improves = price > quote if side == "BUY" else price < quote
    crosses = price >= market.ask if side == "BUY" else price <= market.bid
    if improves or price < lower or price <= 0 or (post_only and crosses):
        return None
    return price


def keeps_targets(side: Side, before: Market, after: Market) -> bool:
    """Whether the side whose quote stayed keeps its targets, which `after` takes over then.

    The other quote moves the mark, with it the bounds, and what would cross.
    """
    targets = {where: price for where, price in before.targets.items() if where[0] == side}
    if any(_target(where, after) != price for where, price in targets.items()):
        return False
    after.targets.update(targets)
    return True


def _bounds(spec: SymbolSpec, mark: Decimal) -> tuple[Decimal, Decimal | None]:
    """PRICE_FILTER and PERCENT_PRICE around the mark, on the grid; a zero bound means none."""
    lower = max(spec.min_price, mark * spec.percent_price_down)
    upper = [price for price in (spec.max_price, mark * spec.percent_price_up) if price]
    return ceil_to(lower, spec.tick_size), floor_to(min(upper), spec.tick_size) if upper else None


def distance_pct(plan: ChasePlan, quote: Decimal) -> Decimal:
    """How far the own quote is from its start, in percent, whichever way it went."""
    return abs(quote - plan.anchor) / plan.anchor * HUNDRED


def declared_range(plan: ChasePlan, tick: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """The prices the order may ever have: those of an own quote within the distance. None without a distance."""
    if not plan.max_distance_pct:
        return None, None
    reach = plan.anchor * plan.max_distance_pct / HUNDRED
    lowest = floor_to(offset_price(place(plan), plan.anchor - reach, tick), tick)
    highest = ceil_to(offset_price(place(plan), plan.anchor + reach, tick), tick)
    return max(lowest, tick), highest


def approved_range(plan: ChasePlan, first_price: Decimal, tick: Decimal) -> tuple[Decimal, Decimal]:
    """The prices that need no new approval once the order was approved at `first_price`."""
    lowest, highest = declared_range(plan, tick)
    if lowest is not None and highest is not None:
        return lowest, highest
    return first_price * (1 - DEFAULT_RANGE), first_price * (1 + DEFAULT_RANGE)


def range_from_cap(plan: ChasePlan, price: Decimal, cap: Decimal | None, tick: Decimal) -> tuple[Decimal, Decimal]:
    """The approved range of an order found after a restart, from the cap its owner knows.

    Without a cap nothing but the present price counts as approved.
    """
    if plan.max_distance_pct:
        return approved_range(plan, price, tick)
    if cap is None:
        return price, price
    first = cap / (1 + DEFAULT_RANGE) if plan.side == "BUY" else cap / (1 - DEFAULT_RANGE)
    return approved_range(plan, first, tick)


def grid(plan: ChasePlan, spec: SymbolSpec) -> tuple[Decimal, Decimal]:
    """Step and least quantity of the plan's kind of order."""
    if plan.at_market:
        return spec.market_step_size or spec.step_size, spec.market_min_quantity
    return spec.step_size, spec.min_quantity


def is_dust(plan: ChasePlan, remaining: Decimal, price: Decimal, spec: SymbolSpec) -> bool:
    """Whether the remainder is too small to be an order. Reducing is exempt from the minimum notional."""
    step, least = grid(plan, spec)
    quantity = floor_to(remaining, step)
    if quantity <= 0 or quantity < least:
        return True
    return not plan.reduce_only and quantity * price < spec.min_notional
