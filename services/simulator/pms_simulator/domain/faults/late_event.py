"""A user event is sent ``ms`` late; others overtake it."""

from typing import Any, ClassVar

from pms_simulator.domain.errors import mandatory
from pms_simulator.domain.faults.base import EventFault
from pms_simulator.domain.faults.fields import Fields


class LateEvent(EventFault):
    """Held back alone."""

    kind: ClassVar[str] = "late_event"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        wait = fields.whole("ms")
        if wait is None:
            raise mandatory("ms")
        self._wait_ms = wait

    def pass_on(self, frame: Any) -> list[tuple[int, Any]]:
        """Later."""
        return [(self._wait_ms, frame)]
