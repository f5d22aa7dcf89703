"""The venue's open-order slots: how many orders may rest on a symbol, shared fairly by the accounts.

Owns the count of own orders that rest or may rest, by symbol and account. The venue limits them by symbol for the whole
exchange account (MAX_NUM_ORDERS, -2025). Pure. Used by the sender, which takes a slot when it sends.
"""

from collections import Counter, defaultdict

from pms_orders.domain.order import OrderState

FREE_SHARE = 0.75
"""Up to this share of the slots whoever comes first has them; beyond, each account has its equal part."""
_NEVER_REST = frozenset({"IOC", "FOK"})


def rests(order: OrderState) -> bool:
    """Whether the order needs a slot."""
    return order.place.order_type == "LIMIT" and order.place.time_in_force not in _NEVER_REST


class Slots:
    """Who holds how many."""

    def __init__(self) -> None:
        self._held: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._holders: set[str] = set()

    def admits(self, order: OrderState, most: int) -> bool:
        """Whether the order may take a slot of `most`; 0 means that the venue names no limit. Closes always may, as
        long as there is one: they free what others wait for.
        """
        if not most or not rests(order) or order.client_order_id in self._holders:
            return True
        held = self._held[order.place.symbol]
        total = held.total()
        if total >= most:
            return False
        if total < most * FREE_SHARE or order.place.reduce_only:
            return True
        own = held[order.place.account_id]
        accounts = len(held) + (0 if own else 1)
        return own < most / accounts

    def hold(self, order: OrderState) -> None:
        """The order rests, or may soon."""
        if rests(order) and order.client_order_id not in self._holders:
            self._holders.add(order.client_order_id)
            self._held[order.place.symbol][order.place.account_id] += 1

    def release(self, order: OrderState) -> None:
        """The order has ended."""
        if order.client_order_id not in self._holders:
            return
        self._holders.discard(order.client_order_id)
        held = self._held[order.place.symbol]
        held[order.place.account_id] -= 1
        if not held[order.place.account_id]:
            del held[order.place.account_id]
        if not held:
            del self._held[order.place.symbol]
