"""An error instead of the answer: ``code``, ``http``, ``msg``; ``executed`` true makes the error a lie.

A ``code`` alone brings the venue's own status and text. ``code`` 0 is the 503 "Unknown error", whose body has no code
(recorded: ``{"timestamp", "path", "msg"}``). ``retryAfter`` adds the header.
"""

from typing import ClassVar

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Call, RequestFault, Verdict
from pms_simulator.domain.faults.fields import Fields, wrong

# HTTP status and text by code, from the venue's general information and error table.
WORDS: dict[int, tuple[int, str]] = {
    0: (503, "Unknown error, please check your request or try again later."),
    -1000: (500, "An unknown error occurred while processing the request."),
    -1001: (503, "Internal error; unable to process your request. Please try again."),
    -1006: (500, "An unexpected response was received from the message bus. Execution status unknown."),
    -1007: (408, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    -1008: (503, "Request throttled by system-level protection. Reduce-only/close-position orders are exempt."),
    -1016: (503, "This service is no longer available."),
    -1021: (400, "Timestamp for this request is outside of the recvWindow."),
    -5028: (400, "Timestamp for this request is outside of the ME recvWindow."),
}


class ErrorReply(RequestFault):
    """The request is answered with an error, executed or not."""

    kind: ClassVar[str] = "error"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        executed = fields.flag("executed", False)
        code = fields.take("code")
        code = -1001 if code is None else code
        if not isinstance(code, int) or isinstance(code, bool):
            raise wrong("code", "a whole number")
        http, text = WORDS.get(code, (400, "An unknown error occurred while processing the request."))
        status = fields.whole("http") or http
        if not 400 <= status <= 599:
            raise wrong("http", "a status from 400 to 599")
        error = VenueError(code, fields.text("msg", text) or text, status, fields.whole("retryAfter"))
        self._verdict = Verdict(execute=executed, error=error)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """The error, with or without execution."""
        return self._verdict
