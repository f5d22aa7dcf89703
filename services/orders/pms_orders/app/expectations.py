"""What the exchange should have spoken of by now.

Owns the deadlines (of a monotonic clock) after which silence about an order is a reason to ask, or to tell what is
known: an acknowledged request whose event is late, an accepted order not yet told, a fill that was hinted at. Every
map is bounded by the live orders or by a number. Used by the order manager, which acts on what is due.
"""

from itertools import takewhile

from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Report
from pms_orders.domain.resolution import SPOKEN_WITHIN_MS, settled

ACCEPTED_AFTER_MS = 100
MAX_HINTS = 10_000


class Expectations:
    """Deadlines by order; the earliest stand first."""

    def __init__(self) -> None:
        self._expecting: dict[str, int] = {}
        self._untold: dict[str, int] = {}
        self._hints: dict[tuple[str, int, int], tuple[OrderState, int]] = {}

    def __len__(self) -> int:
        """Deadlines that run."""
        return len(self._expecting) + len(self._untold) + len(self._hints)

    def __contains__(self, order: OrderState) -> bool:
        """Whether the exchange took a request of the order, and has time left to speak of it."""
        return order.client_order_id in self._expecting

    def expect(self, order: OrderState, age_ms: int) -> None:
        """The exchange took a request of this order: its feed is to speak soon."""
        self.heard(order)
        if not settled(order):
            self._expecting[order.client_order_id] = age_ms + SPOKEN_WITHIN_MS

    def heard(self, order: OrderState) -> None:
        """The exchange has said of the order what was awaited."""
        self._expecting.pop(order.client_order_id, None)

    def accepted(self, order: OrderState, age_ms: int) -> None:
        """The order was acknowledged, which is to be told unless the feed tells more first."""
        self._untold[order.client_order_id] = age_ms + ACCEPTED_AFTER_MS

    def told(self, order: OrderState) -> bool:
        """The order is told of now; whether that was due."""
        return self._untold.pop(order.client_order_id, None) is not None

    def hint(self, order: OrderState, exchange_order_id: int, trade_id: int, age_ms: int) -> None:
        """A fill is on its way; the two sides of a self-match share its trade id."""
        if len(self._hints) < MAX_HINTS:
            key = (order.place.symbol, exchange_order_id, trade_id)
            self._hints.setdefault(key, (order, age_ms + SPOKEN_WITHIN_MS))

    def came(self, report: Report) -> None:
        """The fill has come."""
        if self._hints and report.fill is not None:
            self._hints.pop((report.symbol, report.exchange_order_id, report.fill.trade_id), None)

    def take_silent(self, age_ms: int) -> list[str]:
        """Take the orders of which the exchange should have spoken."""
        return _take_due(self._expecting, age_ms)

    def take_untold(self, age_ms: int) -> list[str]:
        """Take the acknowledged orders that are to be told now."""
        return _take_due(self._untold, age_ms)

    def take_missed(self, age_ms: int) -> list[OrderState]:
        """Take the orders of which a hinted fill has not come."""
        missed: list[OrderState] = []
        while self._hints:
            key, (order, due_ms) = next(iter(self._hints.items()))
            if due_ms > age_ms:
                break
            del self._hints[key]
            if key[2] not in order.trades:
                missed.append(order)
        return missed


def _take_due(due: dict[str, int], age_ms: int) -> list[str]:
    taken = list(takewhile(lambda name: due[name] <= age_ms, due))
    for name in taken:
        del due[name]
    return taken
