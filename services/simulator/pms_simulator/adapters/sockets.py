"""All open WebSockets by route, and which listener a new connection gets.

Owns the URL space: ``/public|/market|/private`` x ``/ws|/stream``, ``/ws-fapi/v1``. The retired paths without a route
carry public streams only, as at the venue.
"""

from urllib.parse import parse_qs, unquote

from picows import WSCloseCode, WSListener, WSUpgradeRequest

from pms_simulator.adapters.ws_api import ApiSocket
from pms_simulator.adapters.ws_base import Socket
from pms_simulator.adapters.ws_market import MarketListener
from pms_simulator.adapters.ws_user import UserListener
from pms_simulator.app.venue import Venue

WS_API_PATH = "/ws-fapi/v1"
WS_API_HANDSHAKE_WEIGHT = 5


class Sockets:
    """Registry and factory of WebSocket listeners."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._open: set[Socket] = set()

    def accept(self, request: WSUpgradeRequest) -> WSListener | None:
        """The listener for a handshake, None (404) for an unknown path."""
        path, _, query = request.path.decode("latin-1").partition("?")
        if path.rstrip("/") == WS_API_PATH:
            return ApiSocket(self._venue, self._open, parse_qs(query))
        parts = [part for part in path.split("/") if part]
        route = parts.pop(0) if parts and parts[0] in {"public", "market", "private"} else "public"
        if not parts or parts[0] not in {"ws", "stream"}:
            return None
        combined = parts[0] == "stream"
        named = [unquote(part) for part in parts[1:]]
        fields = parse_qs(query)
        if route == "private":
            keys = named + fields.get("listenKey", [])
            events = frozenset(name for value in fields.get("events", []) for name in value.split("/"))
            return UserListener(self._venue, self._open, keys, events, combined=combined)
        streams = named + [name for value in fields.get("streams", []) for name in value.split("/")]
        return MarketListener(self._venue, self._open, route, streams, combined=combined)

    def close_route(self, route: str) -> int:
        """Drop the sockets of a route (or ``all``) without a closing handshake; how many."""
        chosen = [socket for socket in self._open if route in {"all", socket.route}]
        for socket in chosen:
            socket.drop(WSCloseCode.GOING_AWAY)
        return len(chosen)

    @property
    def counts(self) -> dict[str, int]:
        """Open sockets by route."""
        found: dict[str, int] = {}
        for socket in self._open:
            found[socket.route] = found.get(socket.route, 0) + 1
        return found
