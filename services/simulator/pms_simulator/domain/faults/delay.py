"""Late: the request waits ``ms`` before it is executed, or (``where`` = "response") its answer does."""

from typing import ClassVar

from pms_simulator.domain.errors import mandatory
from pms_simulator.domain.faults.base import Call, RequestFault, Verdict
from pms_simulator.domain.faults.fields import Fields


class Delay(RequestFault):
    """The request or its answer is held back."""

    kind: ClassVar[str] = "delay"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        wait = fields.number("ms")
        if wait is None:
            raise mandatory("ms")
        where = fields.choice("where", {"request", "response"}, "request")
        before, after = (int(wait), 0) if where == "request" else (0, int(wait))
        self._verdict = Verdict(delay_before_ms=before, delay_after_ms=after)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """The wait."""
        return self._verdict
