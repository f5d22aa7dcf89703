"""An error instead of the answer: ``http``, ``code``, ``msg``; ``executed`` true makes the error a lie."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Fault, Verdict, number


class ErrorReply(Fault):
    """The request is answered with an error, executed or not."""

    kind: ClassVar[str] = "error"

    def __init__(self, body: Mapping[str, Any], now_ms: int) -> None:
        super().__init__(body, now_ms)
        self._executed = body.get("executed") is True
        code = body.get("code", -1001)
        if not isinstance(code, int):
            raise VenueError(-1100, "Illegal value for 'code'.")
        text = str(body.get("msg", "Internal error; unable to process your request. Please try again."))
        self._error = VenueError(code, text, int(number(body, "http") or 503))

    def verdict(self) -> Verdict:
        """The error, with or without execution."""
        return Verdict(execute=self._executed, error=self._error)
