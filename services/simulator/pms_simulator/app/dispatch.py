"""One way through for every request: log, fault, limits, key, signature, time, handler.

Owns that order. Used by the REST and the WebSocket-API adapter; knows no sockets.
"""

import time
from typing import Any

from pms_simulator.app.keys import Key
from pms_simulator.app.request import Request, Route, Session
from pms_simulator.app.venue import Received, Venue
from pms_simulator.domain import signing
from pms_simulator.domain.errors import VenueError, refuse
from pms_simulator.domain.faults import Call, Verdict

Outcome = tuple[int, Any, VenueError | None]


class Incoming:
    """A request as an adapter hands it over. REST gives query and body; the WebSocket API only params."""

    __slots__ = (
        "address",
        "api_key",
        "arrived_ms",
        "body",
        "ip",
        "key",
        "params",
        "query",
        "route",
        "session",
        "transport",
    )

    def __init__(
        self,
        transport: str,
        route: Route,
        params: dict[str, str],
        api_key: str | None,
        ip: str,
        query: str = "",
        body: str = "",
        session: Session | None = None,
    ) -> None:
        self.transport = transport
        self.route = route
        self.params = params
        self.api_key = api_key
        self.ip = ip
        self.query = query
        self.body = body
        self.session = session
        self.key: Key | None = None
        self.address = ip
        self.arrived_ms = 0


def receive(venue: Venue, incoming: Incoming) -> Verdict | None:
    """Log the request and find its key; the fault that strikes it, if any."""
    route = incoming.route
    account = None
    if incoming.api_key is not None:
        key = incoming.key = venue.keys.get(incoming.api_key)
        if key is not None:
            account = key.account.name
            incoming.address = key.address or incoming.ip
    venue.received += 1
    venue.requests.append(Received(time.time_ns(), incoming.transport, route.name, incoming.params, account))
    if not venue.faults.requests:
        return None
    call = Call(incoming.transport, route.name, route.operation, incoming.params, account, incoming.ip)
    incoming.arrived_ms = venue.now_ms()
    verdict = venue.faults.strike(call, incoming.arrived_ms)
    if verdict is not None and verdict.delay_before_ms and route.operation == "order.modify":
        venue.amending.append(incoming.params)
    return verdict


def execute(venue: Venue, incoming: Incoming, verdict: Verdict | None) -> Any:
    """Check and run; the handler's answer. Raises VenueError for every refusal."""
    now_ms = venue.now_ms()
    route, params = incoming.route, incoming.params
    venue.limits.spend(incoming.address, route.weigh(params), now_ms)
    request = Request(params, now_ms, session=incoming.session)
    if route.security != "none":
        _identify(incoming, request, now_ms)
        if route.orders[0]:
            venue.limits.count_orders(request.account.name, *route.orders, now_ms)
    if verdict is not None:
        request.shrink = verdict.shrink
        if verdict.lag_ms and venue.engine.history is not None:
            request.signer = venue.engine.history.lagged(request.account, now_ms - verdict.lag_ms)
    try:
        return route.handler(venue, request)
    finally:
        venue.flush(now_ms)


def _identify(incoming: Incoming, request: Request, now_ms: int) -> None:
    """Key, time and signature; a logged-on connection needs no signature."""
    key, params = incoming.key, incoming.params
    if key is None:
        raise refuse(-2015, 401) if incoming.api_key else refuse(-2014, 401)
    request.signer, request.key = key.account, key
    if incoming.route.security != "signed":
        return
    signing.check_time(params, incoming.arrived_ms or now_ms)
    if incoming.arrived_ms and incoming.route.orders[0]:
        signing.check_still_in_time(params, now_ms)
    if incoming.transport == "rest":
        signing.check_rest(key.verifier, incoming.query, incoming.body, params.get("signature"))
    elif "apiKey" in params:
        signing.check_ws(key.verifier, params)


def carry_out(venue: Venue, incoming: Incoming, verdict: Verdict | None) -> Outcome:
    """Execute under a verdict: HTTP status, answer body, and the error where it is one."""
    failure: VenueError | None = None
    answer: Any = None
    try:
        if verdict is None or verdict.execute:
            answer = execute(venue, incoming, verdict)
    except VenueError as error:
        failure = error
    finally:
        if venue.amending:
            venue.amending = [params for params in venue.amending if params is not incoming.params]
    if verdict is not None and verdict.error is not None:
        failure = verdict.error
    if failure is not None:
        return failure.http, _told(venue, incoming, failure), failure
    return 200, answer, None


def _told(venue: Venue, incoming: Incoming, failure: VenueError) -> dict[str, Any]:
    """The body of a refusal. The 503 "Unknown error" over REST has no code (recorded)."""
    if failure.code or incoming.transport == "ws":
        return {"code": failure.code, "msg": failure.msg}
    path = incoming.route.name.partition(" ")[2]
    return {"timestamp": venue.now_ms(), "path": path, "msg": failure.msg}
