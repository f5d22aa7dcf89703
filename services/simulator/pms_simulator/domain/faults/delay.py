"""Late: the request waits ``ms`` before it is executed, or (``where`` = "response") its answer does."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Fault, Verdict, number


class Delay(Fault):
    """The request or its answer is held back."""

    kind: ClassVar[str] = "delay"

    def __init__(self, body: Mapping[str, Any], now_ms: int) -> None:
        super().__init__(body, now_ms)
        wait = number(body, "ms")
        if wait is None:
            raise VenueError(-1102, "Mandatory parameter 'ms' was not sent, was empty/null, or malformed.")
        where = body.get("where", "request")
        if where not in {"request", "response"}:
            raise VenueError(-1100, "Illegal value for 'where'.")
        before, after = (int(wait), 0) if where == "request" else (0, int(wait))
        self._verdict = Verdict(delay_before_ms=before, delay_after_ms=after)

    def verdict(self) -> Verdict:
        """The wait."""
        return self._verdict
