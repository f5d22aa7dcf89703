"""Exact scaled integers: prices and quantities inside the book are ints of a symbol's smallest decimal.

Owns text <-> units. Never rounds money silently: what does not fit the scale is refused.
"""

from decimal import Decimal, InvalidOperation
from functools import lru_cache

# Prices and quantities of a market repeat: remembering them halves the cost of an order's numbers.
SEEN = 16_384


class TooPrecise(ValueError):
    """The text has more non-zero decimals than the scale carries."""


@lru_cache(SEEN)
def to_units(text: str, places: int) -> int:
    """``"0.10"`` at 2 places is 10. Raises TooPrecise, or ValueError where it is no finite number."""
    whole, _, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (fraction and not fraction.isdigit()):
        return _to_units_slow(text, places)
    if len(fraction) > places:
        if fraction[places:].strip("0"):
            raise TooPrecise(text)
        fraction = fraction[:places]
    return int(whole + fraction + "0" * (places - len(fraction)))


def _to_units_slow(text: str, places: int) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not value.is_finite() or abs(value) >= Decimal(10) ** 20:
        raise ValueError(text)
    scaled = value.scaleb(places)
    if scaled != scaled.to_integral_value():
        raise TooPrecise(text)
    return int(scaled)


@lru_cache(SEEN)
def to_text(units: int, places: int) -> str:
    """Padded to the scale, as the venue writes it: 10 at 2 places is ``"0.10"``."""
    if not places:
        return str(units)
    if units < 0:
        return "-" + to_text(-units, places)
    digits = str(units).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def short_text(units: int, places: int) -> str:
    """As ``to_text`` without trailing zeros, as user-stream events carry most numbers."""
    if not places or not units:
        return str(units)
    return to_text(units, places).rstrip("0").rstrip(".")


def to_decimal(units: int, places: int) -> Decimal:
    """The exact value of ``units``."""
    return Decimal(units).scaleb(-places)


def short(value: Decimal) -> str:
    """Plain notation without trailing zeros."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text
