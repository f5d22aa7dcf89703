"""Who waits for an order's end.

Owns the callbacks of cancels that are answered when the order has ended, or when the cancel was refused; each is called
once. Used by the public cancels, which watch, and by the order manager, which tells.
"""

from collections import defaultdict
from collections.abc import Callable

from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Announce

Ended = Callable[[OrderState, Announce | None], None]
"""Told when an order has ended, or when a cancel of it was refused."""


class Watchers:
    """Callbacks by order."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, list[Ended]] = defaultdict(list)

    def __len__(self) -> int:
        """Orders that are waited for."""
        return len(self._watchers)

    def watch(self, order: OrderState, ended: Ended) -> None:
        """Have `ended` called once, when the order ends or a cancel of it is refused."""
        self._watchers[order.client_order_id].append(ended)

    def unwatch(self, order: OrderState, ended: Ended) -> None:
        """No longer."""
        kept = [item for item in self._watchers.pop(order.client_order_id, ()) if item != ended]
        if kept:
            self._watchers[order.client_order_id] = kept

    def tell(self, order: OrderState, announces: list[Announce]) -> None:
        """What has happened to the order: those who wait are told if it was that."""
        client_order_id = order.client_order_id
        if client_order_id not in self._watchers:
            return
        refused = next((announce for announce in announces if announce.cause == "cancel_failed"), None)
        if order.final or refused is not None:
            for ended in self._watchers.pop(client_order_id):
                ended(order, refused)
