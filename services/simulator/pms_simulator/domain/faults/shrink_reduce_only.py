"""A reduce-only order enters smaller than it was sent: ``fraction`` (default 0.5) of its quantity, at least one step.

What the venue does of itself where the order exceeds the position is not this: that needs no fault.
"""

from decimal import Decimal
from typing import ClassVar

from pms_simulator.domain.faults.base import Call, RequestFault, Verdict
from pms_simulator.domain.faults.fields import Fields, wrong


class ShrinkReduceOnly(RequestFault):
    """The venue takes less."""

    kind: ClassVar[str] = "shrink_reduce_only"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        fraction = fields.number("fraction", 1)
        if fraction == 0:
            raise wrong("fraction", "more than 0")
        self._verdict = Verdict(shrink=Decimal(str(fraction or 0.5)))

    def matches(self, call: Call) -> bool:
        """New reduce-only orders only."""
        closing = call.operation == "order.place" and call.params.get("reduceOnly") == "true"
        return closing and super().matches(call)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """The share that is taken."""
        return self._verdict
