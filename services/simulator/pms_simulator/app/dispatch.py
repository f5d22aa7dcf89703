"""One way through for every request: log, fault, limits, key, signature, time, handler.

Owns that order. Used by the REST and the WebSocket-API adapter; knows no sockets.
"""

import time
from typing import Any

from pms_simulator.app.request import Request, Route
from pms_simulator.app.venue import Received, Venue
from pms_simulator.domain import signing
from pms_simulator.domain.errors import VenueError, refuse
from pms_simulator.domain.faults import Call, Verdict

Outcome = tuple[int, Any, VenueError | None]


class Incoming:
    """A request as an adapter hands it over. REST gives query and body; the WebSocket API only params."""

    __slots__ = ("api_key", "body", "ip", "params", "query", "route", "transport")

    def __init__(
        self,
        transport: str,
        route: Route,
        params: dict[str, str],
        api_key: str | None,
        ip: str,
        query: str = "",
        body: str = "",
    ) -> None:
        self.transport = transport
        self.route = route
        self.params = params
        self.api_key = api_key
        self.ip = ip
        self.query = query
        self.body = body


def receive(venue: Venue, incoming: Incoming) -> Verdict | None:
    """Log the request; the fault that strikes it, if any."""
    route = incoming.route
    venue.received += 1
    venue.requests.append(Received(time.time_ns(), incoming.transport, route.name, incoming.params))
    if not venue.faults.active:
        return None
    call = Call(incoming.transport, route.name, route.operation, incoming.params)
    return venue.faults.strike(call, venue.now_ms())


def execute(venue: Venue, incoming: Incoming) -> Any:
    """Check and run; the handler's answer. Raises VenueError for every refusal."""
    now_ms = venue.now_ms()
    route, params = incoming.route, incoming.params
    venue.limits.spend(incoming.ip, route.weigh(params), now_ms)
    request = Request(params, now_ms)
    if route.security != "none":
        key = venue.keys.get(incoming.api_key or "")
        if key is None:
            raise refuse(-2015, 401) if incoming.api_key else refuse(-2014, 401)
        request.signer = key.account
        if route.security == "signed":
            signing.check_time(params, now_ms)
            if incoming.transport == "ws":
                signing.check_ws(key.secret, params)
            else:
                signing.check_rest(key.secret, incoming.query, incoming.body, params.get("signature"))
        if route.orders[0]:
            venue.limits.count_orders(key.account.name, *route.orders, now_ms)
    try:
        return route.handler(venue, request)
    finally:
        venue.flush(now_ms)


def carry_out(venue: Venue, incoming: Incoming, verdict: Verdict | None) -> Outcome:
    """Execute under a verdict: HTTP status, answer body, and the error where it is one."""
    failure: VenueError | None = None
    answer: Any = None
    try:
        if verdict is None or verdict.execute:
            answer = execute(venue, incoming)
    except VenueError as error:
        failure = error
    if verdict is not None and verdict.error is not None:
        failure = verdict.error
    if failure is not None:
        return failure.http, {"code": failure.code, "msg": failure.msg}, failure
    return 200, answer, None
