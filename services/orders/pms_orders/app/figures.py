"""What `/metrics` tells of orders and of the rate budget, looked up when somebody scrapes: trading pays nothing for it.

Owns these gauges. Only looks. Used by the wiring.
"""

from collections import Counter
from typing import get_args

from pms_common import metrics
from pms_common.clock import monotonic_ms
from pms_common.contracts.bus.base import FINAL_STATES, OrderStatus
from pms_orders.domain.rate import Budget, Lane
from pms_orders.domain.tracker import OrderTracker

_live = metrics.gauge("orders_live", "Orders that have not ended, by state", ["state"])
_room = metrics.gauge("rate_room", "Requests of a lane that the exchange's limits leave room for now", ["lane"])
_used = metrics.gauge("rate_used_ratio", "Used part of a limit of the exchange", ["limit"])
_blocked = metrics.gauge("rate_blocked_seconds", "How long the exchange still wants no requests", ["what"])

_STATES = [state for state in get_args(OrderStatus) if state not in FINAL_STATES]


class Figures:
    """Sets the gauges before each scrape."""

    def __init__(self, tracker: OrderTracker, budget: Budget) -> None:
        self._tracker, self._budget = tracker, budget
        metrics.before_scrape(self.look)

    def look(self) -> None:
        """Set them to what is true now."""
        budget, at_ms = self._budget, monotonic_ms()
        states = Counter(order.status for order in self._tracker.live())
        for state in _STATES:
            _live.labels(state).set(states[state])
        for lane in Lane:
            _room.labels(lane.name.lower()).set(budget.room(lane, at_ms))
        for what, window in (("weight", budget.weight), *(("orders", window) for window in budget.orders)):
            window.room(at_ms)  # what has left the window is forgotten
            _used.labels(f"{what}_{window.span_ms // 1_000}s").set(window.used / window.limit)
        _blocked.labels("requests").set(max(0, budget.blocked_until_ms - at_ms) / 1_000)
        _blocked.labels("orders").set(max(0, budget.orders_blocked_until_ms - at_ms) / 1_000)
