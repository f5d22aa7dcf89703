"""A user event is never sent."""

from typing import Any, ClassVar

from pms_simulator.domain.faults.base import EventFault


class DropEvent(EventFault):
    """Lost."""

    kind: ClassVar[str] = "drop_event"

    def pass_on(self, frame: Any) -> list[tuple[int, Any]]:
        """Nothing."""
        return []
