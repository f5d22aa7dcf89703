"""Listen keys of the user stream; they need the API key, no signature."""

from typing import Any

from pms_simulator.app.request import Request, Route
from pms_simulator.app.venue import Venue


def start(venue: Venue, request: Request) -> Any:
    """POST: the account's key, the same one as long as it lives."""
    return {"listenKey": venue.users.open_key(request.account, request.now_ms)}


def prolong(venue: Venue, request: Request) -> Any:
    """PUT: another sixty minutes; -1125 without a living key."""
    return {"listenKey": venue.users.prolong(request.account, request.now_ms)}


def close(venue: Venue, request: Request) -> Any:
    """DELETE."""
    venue.users.close_key(request.account)
    return {}


REST = (
    Route("POST /fapi/v1/listenKey", start, "key", operation="listenKey.start"),
    Route("PUT /fapi/v1/listenKey", prolong, "key", operation="listenKey.prolong"),
    Route("DELETE /fapi/v1/listenKey", close, "key", operation="listenKey.close"),
)
WS = (
    Route("userDataStream.start", start, "key", operation="listenKey.start"),
    Route("userDataStream.ping", prolong, "key", operation="listenKey.prolong"),
    Route("userDataStream.stop", close, "key", operation="listenKey.close"),
)
