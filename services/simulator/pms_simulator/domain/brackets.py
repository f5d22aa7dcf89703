"""Notional brackets: highest leverage and maintenance rate by position size.

Owns the tiers and their arithmetic. ``cum`` follows from the tiers:
cum[n] = cum[n-1] + floor[n] * (rate[n] - rate[n-1]), which holds for every tier the venue publishes.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_simulator.domain.errors import refuse


@dataclass(frozen=True, slots=True)
class Bracket:
    """Positions with notional in (floor, cap] may have ``leverage`` and keep ``rate`` as maintenance margin."""

    number: int
    leverage: int
    floor: int
    cap: int
    rate: Decimal
    cum: Decimal


def build(tiers: tuple[tuple[int, int, str], ...]) -> tuple[Bracket, ...]:
    """Brackets from (leverage, cap, maintenance rate), smallest first."""
    brackets: list[Bracket] = []
    floor, cum, last = 0, Decimal(0), Decimal(tiers[0][2])
    for number, (leverage, cap, text) in enumerate(tiers, 1):
        rate = Decimal(text)
        cum += floor * (rate - last)
        brackets.append(Bracket(number, leverage, floor, cap, rate, cum))
        floor, last = cap, rate
    return tuple(brackets)


MAJOR = build(
    (
        (125, 50_000, "0.004"),
        (100, 600_000, "0.005"),
        (75, 3_000_000, "0.0065"),
        (50, 12_000_000, "0.01"),
        (25, 70_000_000, "0.02"),
        (20, 100_000_000, "0.025"),
        (10, 230_000_000, "0.05"),
        (5, 480_000_000, "0.1"),
        (4, 600_000_000, "0.125"),
        (3, 800_000_000, "0.15"),
        (2, 1_200_000_000, "0.25"),
        (1, 1_800_000_000, "0.5"),
    )
)
MINOR = build(
    (
        (75, 10_000, "0.005"),
        (50, 50_000, "0.007"),
        (40, 750_000, "0.01"),
        (25, 800_000, "0.02"),
        (20, 1_600_000, "0.025"),
        (10, 8_000_000, "0.05"),
        (5, 16_000_000, "0.1"),
        (4, 20_000_000, "0.125"),
        (2, 40_000_000, "0.25"),
        (1, 80_000_000, "0.5"),
    )
)


def of_symbol(symbol: str) -> tuple[Bracket, ...]:
    """The tiers used for ``symbol``: the wide ones for the two majors."""
    return MAJOR if symbol in {"BTCUSDT", "ETHUSDT"} else MINOR


def max_notional(brackets: tuple[Bracket, ...], leverage: int) -> int:
    """The largest position notional allowed at ``leverage``; -4028 where no tier allows that leverage."""
    if not 1 <= leverage <= brackets[0].leverage:
        raise refuse(-4028)
    return max(bracket.cap for bracket in brackets if bracket.leverage >= leverage)


def maintenance(brackets: tuple[Bracket, ...], notional: Decimal) -> Decimal:
    """Maintenance margin of a position with absolute ``notional``, in quote currency."""
    for bracket in brackets:
        if notional <= bracket.cap:
            return notional * bracket.rate - bracket.cum
    last = brackets[-1]
    return notional * last.rate - last.cum
