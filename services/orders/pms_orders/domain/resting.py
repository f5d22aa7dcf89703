"""Prices at which orders of ours may rest, per symbol and side: what a self-trade check needs.

Owns that index. Conservative: an order counts from its registration until it has ended, at its price and at the price
it is being moved to. Pure. Used before an amendment, because the venue's modify drops self-trade prevention.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from decimal import Decimal

from pms_common.contracts.bus.base import Side


class RestingPrices:
    """Sorted prices of all own live limit orders, any account."""

    def __init__(self) -> None:
        self._prices: defaultdict[tuple[str, Side], list[Decimal]] = defaultdict(list)

    def add(self, symbol: str, side: Side, price: Decimal) -> None:
        """An order may rest at this price."""
        insort(self._prices[symbol, side], price)

    def remove(self, symbol: str, side: Side, price: Decimal) -> None:
        """It no longer may. Every `remove` answers one `add`."""
        prices = self._prices[symbol, side]
        at = bisect_left(prices, price)
        if at == len(prices) or prices[at] != price:
            raise ValueError(f"no own {side} order at {price} on {symbol}")
        del prices[at]
        if not prices:
            del self._prices[symbol, side]

    def would_meet(self, symbol: str, side: Side, price: Decimal) -> bool:
        """Whether an own order of the other side may rest at or through `price`."""
        other = self._prices.get((symbol, "SELL" if side == "BUY" else "BUY"))
        if not other:
            return False
        return other[0] <= price if side == "BUY" else other[-1] >= price
