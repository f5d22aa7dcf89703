"""Exact decimals on a grid: rounding to tick and step, and the text form the exchange wants.

Owns rounding rules. Never rounds money silently: callers name the direction. Used by every domain.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

ZERO = Decimal(0)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Largest multiple of `step` not above `value`; a zero step leaves the value as it is."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Smallest multiple of `step` not below `value`; a zero step leaves the value as it is."""
    if not step:
        return value
    return (value / step).to_integral_value(ROUND_CEILING) * step


def passive_price(side: str, price: Decimal, tick: Decimal) -> Decimal:
    """`price` on the tick grid, away from the market: a BUY rounds down, a SELL up."""
    return floor_to(price, tick) if side == "BUY" else ceil_to(price, tick)


def aggressive_price(side: str, price: Decimal, tick: Decimal) -> Decimal:
    """`price` on the tick grid, towards the market: a BUY rounds up, a SELL down."""
    return ceil_to(price, tick) if side == "BUY" else floor_to(price, tick)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` lies on the grid of `step`."""
    return not step or value % step == 0


def plain(value: Decimal) -> str:
    """Decimal text without exponent or trailing zeros (`7E-4` → `0.0007`), as the exchange accepts it."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def from_float(value: float) -> Decimal:
    """The shortest decimal that reads back as `value`: exact for prices that came as decimal text."""
    return Decimal(repr(value))
