"""Accept, then no answer: the client never learns what became of its request."""

from typing import ClassVar

from pms_simulator.domain.faults.base import Fault, Verdict


class DropResponse(Fault):
    """The request is executed; nothing is sent back."""

    kind: ClassVar[str] = "drop_response"

    def verdict(self) -> Verdict:
        """Execute in silence."""
        return Verdict(answer=False)
