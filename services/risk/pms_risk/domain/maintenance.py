"""Maintenance margin: what of its equity an account may not lose.

Owns the two ways to reckon it. `flat`: the account's rate of the notional at entry, whatever the price does.
`brackets`: the exchange's tiers of the notional at the mark, tier by tier `notional × rate − cum`. Both are the largest
of some straight lines of the mark, and every formula of margin is written over these lines: tiers join without a step
and their rates rise, so the tier that applies is the one that asks for most.
Never knows an account's cash. Used by the evaluation, the snapshot, the validator and the pool.
"""

from collections.abc import Mapping
from decimal import Decimal

from pms_common.contracts.base import MaintenanceMode
from pms_common.contracts.bus.exchange import LeverageBracket
from pms_common.decimals import ZERO

DEFAULT_RATE = Decimal("0.005")
Brackets = Mapping[str, tuple[LeverageBracket, ...]]
"""Symbol → its tiers, lowest first."""
Lines = tuple[tuple[Decimal, Decimal], ...]
"""(slope, offset) of each line: maintenance margin at a mark is the largest of slope × mark + offset."""


def maintenance_margin(notional: Decimal, rate: Decimal) -> Decimal:
    """Flat maintenance margin; a rate of 0 means the default of 0.5 %."""
    return notional * (rate or DEFAULT_RATE)


def lines(
    mode: MaintenanceMode, rate: Decimal, quantity: Decimal, cost: Decimal, tiers: tuple[LeverageBracket, ...]
) -> Lines:
    """The lines of one position. Without tiers (the exchange has told none of its symbol) the flat rate holds."""
    if mode == "brackets" and tiers:
        size = abs(quantity)
        return tuple([(size * tier.rate, -tier.cum) for tier in tiers])
    return ((ZERO, maintenance_margin(abs(cost), rate)),)


def required(of: Lines, mark: Decimal) -> Decimal:
    """Maintenance margin at a mark."""
    return max([slope * mark + offset for slope, offset in of])
