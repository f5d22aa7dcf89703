"""The venue's order filters, in the venue's order, with its codes.

Owns bounds, tick, step, minimum notional and percent price. Never looks at margin or positions.
"""

from decimal import Decimal

from pms_simulator.domain.errors import VenueError, refuse
from pms_simulator.domain.symbols import Lot, SymbolSpec


def check_price(spec: SymbolSpec, price: int) -> None:
    """PRICE_FILTER: -4001, -4013, -4002, -4014."""
    if price <= 0:
        raise refuse(-4001)
    if spec.min_price and price < spec.min_price:
        raise VenueError(-4013, f"Price less than min price. Min price is {spec.price_text(spec.min_price)}")
    if spec.max_price and price > spec.max_price:
        raise refuse(-4002)
    if (price - spec.min_price) % spec.tick:
        raise refuse(-4014)


def check_quantity(lot: Lot, quantity: int) -> None:
    """LOT_SIZE or MARKET_LOT_SIZE: -4003, -4004, -4005, -4023."""
    if quantity <= 0:
        raise refuse(-4003)
    if quantity < lot.minimum:
        raise refuse(-4004)
    if quantity > lot.maximum:
        raise refuse(-4005)
    if lot.step and (quantity - lot.minimum) % lot.step:
        raise refuse(-4023)


def check_notional(spec: SymbolSpec, notional: int) -> None:
    """MIN_NOTIONAL: -4164. ``notional`` is price units x quantity units; not for reduce-only orders."""
    if notional < spec.min_notional:
        least = f"{spec.money(spec.min_notional).normalize():f}"
        raise VenueError(-4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")


def check_percent_price(spec: SymbolSpec, side: int, price: int, mark: int) -> None:
    """PERCENT_PRICE of a limit price against the mark: -4016 for buys, -4024 for sells."""
    if side > 0 and price > mark * spec.multiplier_up:
        highest = spec.price_text(spec.down_to_tick(spec.price(mark) * spec.multiplier_up))
        raise VenueError(-4016, f"Limit price can't be higher than {highest}.")
    if side < 0 and price < mark * spec.multiplier_down:
        lowest = spec.price_text(spec.up_to_tick(spec.price(mark) * spec.multiplier_down))
        raise VenueError(-4024, f"Limit price can't be lower than {lowest}.")


def check_counterparty(spec: SymbolSpec, side: int, best: int, mark: int) -> None:
    """PERCENT_PRICE of the price a market order would meet: -4131."""
    beyond = best > mark * spec.multiplier_up if side > 0 else best < mark * spec.multiplier_down
    if beyond:
        raise refuse(-4131)


def market_bound(spec: SymbolSpec, side: int, mark: int) -> int:
    """The worst price a market order may trade at: marketTakeBound away from the mark."""
    factor = Decimal(1) + side * spec.market_take_bound
    return int(mark * factor)
