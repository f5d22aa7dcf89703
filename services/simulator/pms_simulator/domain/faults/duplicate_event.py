"""A user event is sent ``copies`` times (default 2), the further ones ``ms`` later (default 0)."""

from typing import Any, ClassVar

from pms_simulator.domain.faults.base import EventFault
from pms_simulator.domain.faults.fields import Fields, wrong

MOST = 100


class DuplicateEvent(EventFault):
    """Sent again."""

    kind: ClassVar[str] = "duplicate_event"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        copies = fields.whole("copies")
        self._copies = 2 if copies is None else copies
        if not 1 <= self._copies <= MOST:
            raise wrong("copies", f"1 to {MOST}")
        self._wait_ms = fields.whole("ms") or 0

    def pass_on(self, frame: Any) -> list[tuple[int, Any]]:
        """The frame and its copies."""
        return [(0, frame)] + [(self._wait_ms, frame)] * (self._copies - 1)
