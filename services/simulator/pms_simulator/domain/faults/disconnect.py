"""Sockets close: at once those of ``sockets`` (public, market, private, ws-api, all), or with a named operation."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Fault, Verdict, number

ROUTES = frozenset({"public", "market", "private", "ws-api", "all"})


class Disconnect(Fault):
    """With ``operation``: execute, then hang up without an answer. Otherwise: close sockets now, once."""

    kind: ClassVar[str] = "disconnect"

    def __init__(self, body: Mapping[str, Any], now_ms: int) -> None:
        super().__init__(body, now_ms)
        sockets = str(body.get("sockets", "all"))
        if sockets not in ROUTES:
            raise VenueError(-1100, "Illegal value for 'sockets'.")
        self._sockets = sockets if self._operation is None else None
        if self._sockets is not None:
            self._count = 0
        elif number(body, "count") is None and self._until_ms is None:
            self._count = 1

    @property
    def sockets(self) -> str | None:
        """The sockets to close now."""
        return self._sockets

    def verdict(self) -> Verdict:
        """Execute, then hang up."""
        return Verdict(answer=False, disconnect=True)
