"""All open WebSockets by route, and which listener a new connection gets.

Owns the URL space: ``/public|/market|/private`` x ``/ws|/stream``, ``/ws-fapi/v1``. The retired paths without a route
carry public streams only, as at the venue.
"""

import asyncio
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

import msgspec
from picows import WSCloseCode, WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from pms_simulator.adapters.ws_api import ApiSocket
from pms_simulator.adapters.ws_base import Socket
from pms_simulator.adapters.ws_market import MarketListener
from pms_simulator.adapters.ws_user import UserListener
from pms_simulator.app.venue import Venue
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults import Call
from pms_simulator.domain.faults.base import Target

WS_API_PATH = "/ws-fapi/v1"


class Sockets:
    """Registry and factory of WebSocket listeners."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._open: set[Socket] = set()

    def accept(self, request: WSUpgradeRequest, ip: str) -> WSListener | WSUpgradeResponseWithListener | None:
        """The listener for a handshake, None (404) for an unknown path; a refusal where a fault says so."""
        listener = self._listener(request)
        if not isinstance(listener, Socket):
            return listener
        listener.life_s = self._venue.config.connection_life_ms / 1000
        refusal = self._refusal(listener, ip) if self._venue.faults.requests else None
        return listener if refusal is None else WSUpgradeResponseWithListener(refusal, None)

    def _refusal(self, socket: Socket, ip: str) -> WSUpgradeResponse | None:
        venue, name = self._venue, f"CONNECT /{socket.route}"
        account = next(iter(socket.accounts), None)
        call = Call("ws", name, "connect", {"route": socket.route}, account, ip)
        verdict = venue.faults.strike(call, venue.now_ms())
        if verdict is None or (verdict.error is None and not verdict.disconnect):
            return None
        error = verdict.error or VenueError(0, "Service Unavailable.", 503)
        headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
        body = msgspec.json.encode({"code": error.code, "msg": error.msg})
        refusal: WSUpgradeResponse = WSUpgradeResponse.create_error_response(HTTPStatus(error.http), body, headers)
        return refusal

    def _listener(self, request: WSUpgradeRequest) -> WSListener | None:
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

    def close(self, target: Target) -> int:
        """Drop sockets without a closing handshake; how many."""
        chosen = self._chosen(target)
        for socket in chosen:
            socket.drop(WSCloseCode.GOING_AWAY)
        return len(chosen)

    def silence(self, target: Target, seconds: float | None, *, pongs: bool) -> int:
        """Leave sockets open but silent, for a while or for good; how many."""
        chosen = self._chosen(target)
        for socket in chosen:
            socket.silence(pongs=pongs)
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, socket.speak)
        return len(chosen)

    def _chosen(self, target: Target) -> list[Socket]:
        found = [
            socket
            for socket in sorted(self._open, key=lambda socket: socket.serial)
            if target.route in {"all", socket.route} and (target.account is None or target.account in socket.accounts)
        ]
        return {"all": found, "oldest": found[:1], "newest": found[-1:]}[target.which]

    @property
    def counts(self) -> dict[str, int]:
        """Open sockets by route."""
        found: dict[str, int] = {}
        for socket in self._open:
            found[socket.route] = found.get(socket.route, 0) + 1
        return found
