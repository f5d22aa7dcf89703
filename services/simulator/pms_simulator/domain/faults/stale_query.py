"""Queries lag: GET order, openOrders, userTrades, positionRisk, account and balance tell how things stood ``ms`` ago.

A new order is not found at first (-2013), then it is; a cancelled one still looks open. Nothing is older than the
fault itself. ``operation`` restricts it to some of the queries.
"""

from typing import ClassVar

from pms_simulator.domain.errors import mandatory
from pms_simulator.domain.faults.base import Call, RequestFault, Verdict
from pms_simulator.domain.faults.fields import Fields

QUERIES = frozenset(
    {"order.status", "openOrder", "openOrders", "allOrders", "userTrades", "positions", "account", "balance"}
)


class StaleQuery(RequestFault):
    """Answers from the past."""

    kind: ClassVar[str] = "stale_query"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        lag = fields.whole("ms")
        if lag is None:
            raise mandatory("ms")
        self.lag_ms = lag

    def matches(self, call: Call) -> bool:
        """Queries only."""
        return call.operation in QUERIES and super().matches(call)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """Look back."""
        return Verdict(lag_ms=self.lag_ms)
