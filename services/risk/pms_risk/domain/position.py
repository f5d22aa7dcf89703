"""A position and what an execution does to it.

Owns exact position arithmetic: weighted average entry, partial close, full close, flip. Never books cash, never knows
whose position it is. Used by `account` (virtual accounts) and `house` (the external book).

The entry price is kept as a cost (Σ signed quantity × price), not as a quotient, so what a position earns over its
life adds up to exactly what was paid and received: a partial close realises a profit rounded to the wallet's 8
decimals and takes exactly the rest out of the cost, and the last close realises what is left.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from pms_common.contracts.base import PositionSide as Side
from pms_common.contracts.bus.base import PositionSide
from pms_common.decimals import ZERO

WALLET_UNIT = Decimal("1E-8")
"""Smallest amount in which the exchange keeps balances."""


@dataclass(slots=True)
class Position:
    """An open position; `quantity` and `cost` are positive for a long, negative for a short.

    `realized` is what its closes have earned so far, net of their commissions in the settlement asset. `isolated` is
    the part of its account's cash that an isolated position may lose, and all that it may; None: it is a cross one.
    """

    id: str
    symbol: str
    leg: PositionSide
    leverage: Decimal
    opened_ms: int
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    isolated: Decimal | None = None

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
        """What it uses of its account: what is assigned to it, or notional at entry over the virtual leverage."""
        return self.isolated if self.isolated is not None else abs(self.cost) / self.leverage

    def add(self, quantity: Decimal, price: Decimal, leverage: Decimal) -> None:
        """Enlarge by a signed quantity; the newest leverage holds for the whole position. To an isolated one its
        initial margin is assigned."""
        self.quantity += quantity
        self.cost += quantity * price
        self.leverage = leverage
        if self.isolated is not None:
            self.isolated += (abs(quantity) * price / leverage).quantize(WALLET_UNIT, ROUND_UP)

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

    def settle_margin(self, closed: Decimal, profit: Decimal, *, releases: bool) -> Decimal:
        """Settle the margin of an isolated position after `closed` (unsigned) of it was closed at a profit; what was
        lost beyond it.

        A part of the position releases its part of the margin, less what it has lost, and its profit is the account's.
        Where nothing is released (a liquidation improves what is left), both stay with the position until its end.
        A margin below zero has paid more funding than it had: profit makes up for that first.
        """
        if self.isolated is None:
            return ZERO
        before, left = self.isolated, self.isolated + profit
        if releases or not self.quantity:
            share = max(before, ZERO) * closed / (closed + abs(self.quantity))
            left = min(left, max(before - share.quantize(WALLET_UNIT, ROUND_DOWN), ZERO))
        self.isolated = max(left, min(before, ZERO) if self.quantity else ZERO)
        return self.isolated - left


def closing_part(held: Decimal, quantity: Decimal) -> Decimal:
    """How much of a signed `quantity` closes a position of signed size `held`; the rest opens."""
    if not held or (held > 0) == (quantity > 0):
        return ZERO
    return quantity if abs(quantity) <= abs(held) else -held
