"""Logging a WebSocket API connection on: afterwards neither key nor signature is needed. Ed25519 keys only."""

from typing import Any

from pms_simulator.app.request import Request, Route, Session
from pms_simulator.app.venue import Venue
from pms_simulator.domain.errors import VenueError


def logon(venue: Venue, request: Request) -> Any:
    """session.logon."""
    session, key = request.session, request.key
    if session is None or key is None or key.verifier.kind != "ed25519":
        raise VenueError(-1099, "session.logon needs an Ed25519 key.")
    session.key, session.since_ms = key.name, request.now_ms
    return _status(session, request)


def status(venue: Venue, request: Request) -> Any:
    """session.status."""
    return _status(request.session, request)


def logout(venue: Venue, request: Request) -> Any:
    """session.logout: the connection stays."""
    if request.session is not None:
        request.session.key = request.session.since_ms = None
    return _status(request.session, request)


def _status(session: Session | None, request: Request) -> Any:
    if session is None:
        raise LookupError("a session method outside a WebSocket connection")
    return {
        "apiKey": session.key,
        "authorizedSince": session.since_ms,
        "connectedSince": session.connected_ms,
        "returnRateLimits": session.show_limits,
        "serverTime": request.now_ms,
    }


WS = (
    Route("session.logon", logon, weight=2, operation="session.logon"),
    Route("session.status", status, "none", weight=2, operation="session.status"),
    Route("session.logout", logout, "none", weight=2, operation="session.logout"),
)
