"""Formulas of margin accounts: profit and loss, margin ratio, liquidation prices.

Owns nothing and remembers nothing. Used by the validator, the snapshot and the tests.
Source of the formulas: the reference of the earlier engine, section 2 (cross margin per account, flat maintenance
rate, maintenance on the notional at entry). Signs: a quantity or cost is positive for a long, negative for a short;
`cost` is Σ signed quantity × price, so entry price = cost / quantity and notional at entry = |cost|.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pms_common.decimals import ZERO

DEFAULT_MAINTENANCE_RATE = Decimal("0.005")
DEFAULT_THRESHOLD = Decimal("0.90")
INSOLVENT_RATIO = Decimal(999)
"""Stands for an infinite ratio where equity is not positive; readers of the snapshot know it."""
USAGE_CAP = Decimal("0.98")
"""Margin use at which new risk is refused, as a share of equity."""
_ONE = Decimal(1)


def unrealized_pnl(quantity: Decimal, cost: Decimal, mark: Decimal) -> Decimal:
    """Profit of an open position at `mark`, in quote currency: (mark − entry) × signed quantity."""
    return mark * quantity - cost


def maintenance_margin(notional: Decimal, rate: Decimal) -> Decimal:
    """Flat maintenance margin; a rate of 0 means the default of 0.5 %."""
    return notional * (rate or DEFAULT_MAINTENANCE_RATE)


def available_margin(equity: Decimal, maintenance: Decimal) -> Decimal:
    """What new risk may use as margin before a trade: equity − maintenance margin."""
    return equity - maintenance


def usage_ratio(equity: Decimal, used: Decimal, new: Decimal) -> Decimal:
    """Initial margin in use after a trade, as a share of equity."""
    return (used + new) / equity if equity > 0 else INSOLVENT_RATIO


def margin_ratio(maintenance: Decimal, equity: Decimal) -> Decimal:
    """Maintenance margin as a share of equity: higher is worse."""
    return maintenance / equity if equity > 0 else INSOLVENT_RATIO


def static_liquidation_price(
    quantity: Decimal, cost: Decimal, balance: Decimal, rate: Decimal, threshold: Decimal
) -> Decimal:
    """The mark at which an account with this position alone reaches `threshold`; leverage has no influence.

    A threshold outside 0 < T ≤ 1 is read as 0.90.
    """
    threshold = threshold if 0 < threshold <= _ONE else DEFAULT_THRESHOLD
    return _liquidation_price(quantity, cost, maintenance_margin(abs(cost), rate) / threshold - balance)


@dataclass(frozen=True, slots=True)
class Leg:
    """An open position as the liquidation formulas see it; `pnl` is its unrealised profit."""

    quantity: Decimal
    cost: Decimal
    pnl: Decimal


def liquidation_prices(legs: Sequence[Leg], balance: Decimal, rate: Decimal, threshold: Decimal) -> list[Decimal]:
    """For each position the mark at which the account reaches `threshold`, the other marks staying where they are."""
    threshold = threshold if threshold > 0 else DEFAULT_THRESHOLD
    floor = maintenance_margin(sum((abs(leg.cost) for leg in legs), ZERO), rate) / threshold
    total = sum((leg.pnl for leg in legs), ZERO)
    return [_liquidation_price(leg.quantity, leg.cost, floor - balance - (total - leg.pnl)) for leg in legs]


def account_liquidation_price(legs: Sequence[Leg], prices: Sequence[Decimal]) -> Decimal | None:
    """The liquidation price of the largest position by notional (the first one on a tie); None without positions."""
    if not legs:
        return None
    largest = max(range(len(legs)), key=lambda i: (abs(legs[i].cost), -i))
    return prices[largest]


def _liquidation_price(quantity: Decimal, cost: Decimal, need: Decimal) -> Decimal:
    """The mark at which the position's own profit is `need`, not below zero."""
    return max(ZERO, (cost + need) / quantity)
