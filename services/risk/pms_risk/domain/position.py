"""A position and what an execution does to it.

Owns exact position arithmetic: weighted average entry, partial close, full close, flip. Never books cash, never knows
whose position it is. Used by `account` (virtual accounts) and `house` (the external book).

The entry price is kept as a cost (Σ signed quantity × price), not as a quotient, so what a position earns over its
life adds up to exactly what was paid and received: a partial close realises a profit rounded to the wallet's 8
decimals and takes exactly the rest out of the cost, and the last close realises what is left.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.base import PositionSide as Side
from pms_common.contracts.bus.base import PositionSide
from pms_common.decimals import ZERO

WALLET_UNIT = Decimal("1E-8")
"""Smallest amount in which the exchange keeps balances."""


@dataclass(slots=True)
class Position:
    """An open position; `quantity` and `cost` are positive for a long, negative for a short.

    `realized` is what its closes have earned so far, net of their commissions in the settlement asset.
    """

    id: str
    symbol: str
    leg: PositionSide
    leverage: Decimal
    opened_ms: int
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def side(self) -> Side:
        """LONG or SHORT."""
        return "LONG" if self.quantity > 0 else "SHORT"

    @property
    def entry_price(self) -> Decimal:
        """Weighted average entry."""
        return self.cost / self.quantity

    @property
    def notional(self) -> Decimal:
        """Notional at entry, in quote currency."""
        return abs(self.cost)

    @property
    def margin(self) -> Decimal:
        """Initial margin: notional at entry over the virtual leverage."""
        return abs(self.cost) / self.leverage

    def add(self, quantity: Decimal, price: Decimal, leverage: Decimal) -> None:
        """Enlarge by a signed quantity; the newest leverage holds for the whole position."""
        self.quantity += quantity
        self.cost += quantity * price
        self.leverage = leverage

    def reduce(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Close a signed quantity (opposite to the position, at most all of it); the profit before commission."""
        proceeds = -quantity * price
        if quantity == -self.quantity:
            profit = proceeds - self.cost
            self.quantity = self.cost = ZERO
            return profit
        part = self.cost * -quantity / self.quantity
        profit = (proceeds - part).quantize(WALLET_UNIT)
        self.quantity += quantity
        self.cost -= proceeds - profit
        return profit


def closing_part(held: Decimal, quantity: Decimal) -> Decimal:
    """How much of a signed `quantity` closes a position of signed size `held`; the rest opens."""
    if not held or (held > 0) == (quantity > 0):
        return ZERO
    return quantity if abs(quantity) <= abs(held) else -held
