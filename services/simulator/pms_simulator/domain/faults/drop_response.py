"""Accept, then no answer: the client never learns what became of its request.

``executed`` false loses the request itself on its way.
"""

from typing import ClassVar

from pms_simulator.domain.faults.base import Call, RequestFault, Verdict
from pms_simulator.domain.faults.fields import Fields


class DropResponse(RequestFault):
    """The request is executed (or not); nothing is sent back."""

    kind: ClassVar[str] = "drop_response"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        self._verdict = Verdict(execute=fields.flag("executed", True), answer=False)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """Silence."""
        return self._verdict
