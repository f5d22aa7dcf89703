"""The price at which the venue would liquidate a cross position.

Source: the venue's published formula, with the other legs' maintenance margin and profit taken at the mark:
(wallet - other maintenance + other profit + cum - side*q*entry) / (q*rate - side*q), for one leg.
"""

from decimal import Decimal

from pms_simulator.domain.account import Account
from pms_simulator.domain.positions import ZERO, Holding, Leg


def liquidation_price(account: Account, held: Holding, leg: Leg) -> Decimal:
    """The price, 0 where the position is flat or cannot be liquidated above zero.

    Legs of the same symbol in hedge mode are taken at the mark like other symbols' positions.
    """
    if not leg.quantity:
        return ZERO
    spec = held.spec
    size = spec.qty(leg.quantity)
    others = account.wallet + account.unrealized - leg.unrealized(spec, held.mark)
    for holding in account.holdings.values():
        for other in holding.legs.values():
            if other is not leg:
                others -= holding.maintenance_margin(other)
    for bracket in held.brackets:
        divisor = abs(size) * bracket.rate - size
        if not divisor:
            continue
        price = (others + bracket.cum - leg.cost) / divisor
        if price > 0 and bracket.floor < price * abs(size) <= bracket.cap:
            return price
    return ZERO
