"""Orders whose end the exchange has told and whose executions it does not list: they stay live, so it has to be known.

Owns the alarm: a metric, a line in the log, and a hash in Redis that `pms doctor` shows. Ends nothing: what was
executed at which price cannot be made up. docs/operations.md says what a person can do. Used by the service's tick.
"""

from collections.abc import Iterable

from pms_common import metrics
from pms_common.bus import Outbox
from pms_common.logging import get_logger
from pms_common.names import Names
from pms_orders.domain.order import OrderState

log = get_logger(__name__)

ALARM_AFTER_MS = 60_000
"""The trade list was seen to lag by seconds; it is asked every 5 s meanwhile."""

_missing = metrics.gauge("order_executions_missing", "Orders that have ended and whose executions are not listed")


def alarms(names: Names) -> str:
    """The hash of the alarms: what is missing by client order id."""
    return names.own("orders", "executions_missing")


class MissingExecutions:
    """Watches the orders that are being cleared up."""

    def __init__(self, outbox: Outbox, key: str) -> None:
        self._outbox = outbox
        self._key = key
        self._since_ms: dict[str, int] = {}
        self._told: set[str] = set()
        outbox.command("DEL", key)  # a predecessor's: what is still so is told again
        _missing.set_function(lambda: len(self._told))

    def look(self, orders: Iterable[OrderState], age_ms: int) -> None:
        """Look at the orders that are not clear; `age_ms` is of a monotonic clock."""
        waiting = {order.client_order_id: order for order in orders if order.end is not None and not order.whole}
        for name in self._since_ms.keys() - waiting.keys():
            del self._since_ms[name]
            if name in self._told:
                self._told.discard(name)
                self._outbox.command("HDEL", self._key, name)
                log.info("order_executions_found", client_order_id=name)
        for name, order in waiting.items():
            if age_ms - self._since_ms.setdefault(name, age_ms) >= ALARM_AFTER_MS and name not in self._told:
                self._told.add(name)
                self._tell(order)

    def _tell(self, order: OrderState) -> None:
        assert order.end is not None
        missing = order.executed - order.booked
        text = (
            f"{order.place.symbol} order {order.exchange_order_id}: {order.end.status}, {missing} of {order.executed}"
        )
        self._outbox.command("HSET", self._key, order.client_order_id, f"{text} executed without a trade")
        log.error(
            "order_executions_missing",
            client_order_id=order.client_order_id,
            symbol=order.place.symbol,
            exchange_order_id=order.exchange_order_id,
            ended=order.end.status,
            executed=str(order.executed),
            booked=str(order.booked),
        )
