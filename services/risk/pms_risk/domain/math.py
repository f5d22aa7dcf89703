"""Formulas of margin accounts: profit and loss, margin ratio, liquidation prices.

Owns nothing and remembers nothing. Used by the validator and the evaluation.
Source of the formulas: the reference of the earlier engine, section 2 (cross margin per account); with the exchange's
tiers, its own of liquidation prices (support FAQ b3c689c1f50a44cabb3a84e663b81d93). Signs: a quantity or cost is
positive for a long, negative for a short; `cost` is Σ signed quantity × price, so entry price = cost / quantity and
notional at entry = |cost|.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pms_common.decimals import ZERO
from pms_risk.domain.maintenance import Lines

DEFAULT_THRESHOLD = Decimal("0.90")
INSOLVENT_RATIO = Decimal(999)
"""Stands for an infinite ratio where equity is not positive; readers of the snapshot know it."""
USAGE_CAP = Decimal("0.98")
"""Margin use at which new risk is refused, as a share of equity."""
_ONE = Decimal(1)


def unrealized_pnl(quantity: Decimal, cost: Decimal, mark: Decimal) -> Decimal:
    """Profit of an open position at `mark`, in quote currency: (mark − entry) × signed quantity."""
    return mark * quantity - cost


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
    quantity: Decimal, cost: Decimal, of: Lines, balance: Decimal, threshold: Decimal
) -> Decimal:
    """The mark at which an account with this position alone reaches `threshold`; leverage has no influence.

    With the position's margin as `balance` it is the price of an isolated position. A threshold outside 0 < T ≤ 1 is
    read as 0.90.
    """
    threshold = threshold if 0 < threshold <= _ONE else DEFAULT_THRESHOLD
    return _liquidation_price(quantity, cost, of, balance, ZERO, threshold)


@dataclass(frozen=True, slots=True)
class Leg:
    """An open position as the liquidation formulas see it: `pnl` is its unrealised profit, `maintenance` what its lines
    ask for at the mark."""

    quantity: Decimal
    cost: Decimal
    pnl: Decimal
    lines: Lines
    maintenance: Decimal


def liquidation_prices(legs: Sequence[Leg], balance: Decimal, threshold: Decimal) -> list[Decimal]:
    """For each position the mark at which the account reaches `threshold`, the other marks staying where they are."""
    threshold = threshold if threshold > 0 else DEFAULT_THRESHOLD
    equity = balance + sum((leg.pnl for leg in legs), ZERO)
    needed = sum((leg.maintenance for leg in legs), ZERO)
    return [
        _liquidation_price(leg.quantity, leg.cost, leg.lines, equity - leg.pnl, needed - leg.maintenance, threshold)
        for leg in legs
    ]


def account_liquidation_price(legs: Sequence[Leg], prices: Sequence[Decimal]) -> Decimal | None:
    """The liquidation price of the largest position by notional (the first one on a tie); None without positions."""
    if not legs:
        return None
    largest = max(range(len(legs)), key=lambda i: (abs(legs[i].cost), -i))
    return prices[largest]


def _liquidation_price(
    quantity: Decimal, cost: Decimal, of: Lines, rest: Decimal, needed: Decimal, threshold: Decimal
) -> Decimal:
    """The mark at which maintenance margin is `threshold` of the equity, not below zero.

    `rest` is equity and `needed` maintenance margin without this position. On each line the mark solves
    needed + slope × mark + offset = threshold × (rest + mark × quantity − cost); of several the first that a falling
    (short: rising) mark reaches counts. A line as steep as the equity itself never lets a long recover and is left out.
    """
    marks = [
        (threshold * (rest - cost) - needed - offset) / (slope - threshold * quantity)
        for slope, offset in of
        if quantity < 0 or slope < threshold * quantity
    ]
    return max(ZERO, (max if quantity > 0 else min)(marks, default=ZERO))
