"""The live orders of one side of a holding, with their sums kept by difference.

Owns those sums, so that reserving costs the same with one order or ten thousand. Used by `holding`.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from pms_common.decimals import ZERO
from pms_risk.domain.orders import LiveOrder


class OrderSide:
    """Live orders of one side. `quantity` and `notional` (at the bounds) are what of them may still be executed."""

    __slots__ = ("_by_bound", "_leverages", "_orders", "notional", "quantity", "reduce_only")

    def __init__(self) -> None:
        self._orders: dict[str, LiveOrder] = {}
        self._by_bound: list[tuple[Decimal, str]] | None = None
        """In the order of their bounds; kept from when an opposite position first asks for it."""
        self._leverages: Counter[Decimal] = Counter()
        self.quantity = ZERO
        self.notional = ZERO
        self.reduce_only = 0
        """How many of them are reduce-only."""

    def __bool__(self) -> bool:
        return bool(self._orders)

    def __iter__(self) -> Iterator[LiveOrder]:
        return iter(self._orders.values())

    def put(self, order: LiveOrder) -> None:
        """Add an order; the same id again replaces it."""
        if order.client_order_id in self._orders:
            self.drop(order.client_order_id)
        self._orders[order.client_order_id] = order
        self._leverages[order.leverage] += 1
        self.reduce_only += order.reduce_only
        if self._by_bound is not None:
            insort(self._by_bound, (order.bound, order.client_order_id))
        self._count(order, 1)

    def drop(self, client_order_id: str) -> None:
        """Remove an order."""
        order = self._orders.pop(client_order_id)
        self._leverages[order.leverage] -= 1
        if not self._leverages[order.leverage]:
            del self._leverages[order.leverage]
        self.reduce_only -= order.reduce_only
        if self._by_bound is not None:
            del self._by_bound[bisect_left(self._by_bound, (order.bound, client_order_id))]
        self._count(order, -1)

    def change(self, order: LiveOrder, quantity: Decimal, bound: Decimal, executed: Decimal) -> None:
        """Take over what one of them may still do."""
        self._count(order, -1)
        if bound != order.bound and self._by_bound is not None:
            del self._by_bound[bisect_left(self._by_bound, (order.bound, order.client_order_id))]
            insort(self._by_bound, (bound, order.client_order_id))
        order.quantity, order.bound, order.executed = quantity, bound, executed
        self._count(order, 1)

    @property
    def leverage(self) -> Decimal:
        """The lowest leverage among them: the worst for margin."""
        return min(self._leverages)

    def opening_notional(self, closable: Decimal) -> Decimal:
        """Notional of what exceeds `closable`, taking the orders with the highest bounds as the opening ones."""
        if self.quantity <= closable:
            return ZERO
        opening = self.notional
        if not closable:
            return opening
        if self._by_bound is None:
            self._by_bound = sorted((order.bound, name) for name, order in self._orders.items())
        for bound, client_order_id in self._by_bound:
            if not closable:
                break
            closes = min(closable, self._orders[client_order_id].remaining)
            closable -= closes
            opening -= closes * bound
        return opening

    def _count(self, order: LiveOrder, sign: int) -> None:
        remaining = order.remaining
        self.quantity += sign * remaining
        self.notional += sign * remaining * order.bound
