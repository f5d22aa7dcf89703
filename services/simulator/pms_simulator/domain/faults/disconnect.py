"""Sockets close: at once those of ``sockets`` (public, market, private, ws-api, all), or with a named operation.

With ``seconds`` the closed routes also refuse new connections for that long. With ``operation`` the request is
executed (unless ``executed`` is false) and the connection ends without an answer.
"""

from typing import Any, ClassVar

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Action, Call, RequestFault, Stage, Target, Verdict, read_target
from pms_simulator.domain.faults.fields import Fields


class HangUp(RequestFault):
    """Execute, then hang up without an answer; once unless bounded otherwise."""

    kind: ClassVar[str] = "disconnect"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        if self._count is None and self.until_ms is None and self._probability is None:
            self._count = 1
        self._verdict = Verdict(execute=fields.flag("executed", True), answer=False, disconnect=True)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """Hang up."""
        return self._verdict


class Outage(RequestFault):
    """Handshakes of the target's routes are refused."""

    kind: ClassVar[str] = "disconnect"

    def __init__(self, target: Target, seconds: float, now_ms: int) -> None:
        super().__init__(Fields({"account": target.account, "seconds": seconds}), now_ms)
        self._route = target.route

    def matches(self, call: Call) -> bool:
        """Handshakes only."""
        routed = self._route == "all" or call.params.get("route") == self._route
        return call.operation == "connect" and routed and self._concerns(call.account, None, None)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """No connection."""
        return Verdict(execute=False, error=VenueError(0, "Service Unavailable.", 503))


class CloseSockets(Action):
    """Close sockets now, and with ``seconds`` keep their routes shut for a while."""

    kind: ClassVar[str] = "disconnect"

    def __init__(self, fields: Fields) -> None:
        self._target = read_target(fields, "all")
        self._seconds = fields.number("seconds")

    def act(self, stage: Stage) -> dict[str, Any]:
        """How many were closed."""
        return {"closed": stage.close_sockets(self._target)}

    def aftermath(self, now_ms: int) -> RequestFault | None:
        """The outage that follows, if any."""
        return Outage(self._target, self._seconds, now_ms) if self._seconds else None
