"""The address is sent away: 418 and -1003 "banned until", or (``http`` 429) -1003 too many requests; Retry-After.

In force for ``seconds`` (120 where neither ``seconds`` nor ``count`` is given, the venue's shortest ban). Nothing is
executed; handshakes are refused too.
"""

from typing import ClassVar

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Call, RequestFault, Verdict
from pms_simulator.domain.faults.fields import Fields, wrong

SHORTEST_BAN_S = 120


class Ban(RequestFault):
    """Requests are refused because of their address."""

    kind: ClassVar[str] = "ban"
    handshakes: ClassVar[bool] = True

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        self._http = fields.whole("http") or 418
        if self._http not in {418, 429}:
            raise wrong("http", "418 or 429")
        wait = fields.number("retryAfter")
        if self.until_ms is None and self._count is None:
            self.until_ms = now_ms + SHORTEST_BAN_S * 1000
        self._wait_ms = None if wait is None else int(wait * 1000)

    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """The refusal, in the venue's words."""
        end_ms = self.until_ms or now_ms + SHORTEST_BAN_S * 1000
        left_ms = end_ms - now_ms if self._wait_ms is None else self._wait_ms
        if self._http == 418:
            text = f"Way too many requests; IP({call.ip}) banned until {now_ms + left_ms}. "
            text += "Please use the websocket for live updates to avoid bans."
        else:
            text = f"Too many requests; current limit of IP({call.ip}) is 2400 requests per minute. "
            text += "Please use the websocket for live updates to avoid polling the API."
        error = VenueError(-1003, text, self._http, max(1, -(-left_ms // 1000)))
        return Verdict(execute=False, error=error)
