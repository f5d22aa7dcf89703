"""The door's guard: every request has a token with a role before it reaches a route, and no token sends too many.

Owns what is open to all (probes, the documents and the pages, which hold no data) and how a token is presented: as
`Authorization: Bearer`, or for browsers' WebSockets as the subprotocol `bearer.<token>`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Middleware

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.metrics import counter
from pms_gateway.domain.allowance import Allowance
from pms_gateway.door.answers import refusal
from pms_gateway.door.page import PATHS
from pms_gateway.door.tokens import ANYONE, Role, Token, Tokens

OPEN = frozenset({*PATHS, "/docs", "/openapi.json", "/health", "/ready", "/metrics"})
TOKEN = web.RequestKey("token", Token)
SUBPROTOCOL = "pms.events"
_SUBPROTOCOL_TOKEN = "bearer."

_turned_away = counter("door_refused", "Requests that were not let in", ["why"])
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Forbidden(Exception):
    """The token's role does not allow it."""

    def __init__(self, needed: Role) -> None:
        super().__init__(needed.name)
        self.needed = needed


def allow(request: web.Request, needed: Role) -> None:
    """Raise Forbidden where the request's role is lower than `needed`."""
    if request[TOKEN].role < needed:
        raise Forbidden(needed)


def guard(tokens: Callable[[], Tokens]) -> Middleware:
    """The middleware."""
    allowance = Allowance()

    def turned_away(request: web.Request) -> web.Response | None:
        """Why the request is not let in; None where it is, and has its token."""
        token = tokens().find(_presented(request))
        if token is None:
            error = CommandError(ErrorCode.AUTH_TOKEN_REQUIRED)
            return _refused("token", error, 401, {"WWW-Authenticate": "Bearer"})
        wait_s = 0.0 if token is ANYONE else allowance.take(token.name, asyncio.get_running_loop().time())
        if wait_s:
            error = CommandError(ErrorCode.AUTH_RATE_LIMITED)
            return _refused("rate", error, 429, {"Retry-After": str(math.ceil(wait_s))})
        request[TOKEN] = token
        return None

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = None if request.path in OPEN else turned_away(request)
        if refused is not None:
            return refused
        if twice := _given_twice(request):
            return refusal(CommandError(ErrorCode.VALIDATION_FAILED, f"{twice} is given twice", field=twice))
        try:
            return await handler(request)
        except Forbidden as why:
            text = f"This needs a token with the role {why.needed.name.lower()}."
            return _refused("role", CommandError(ErrorCode.AUTH_ROLE_FORBIDDEN, text), 403)
        except web.HTTPClientError as why:
            return _of_aiohttp(request, why)

    return middleware


def _of_aiohttp(request: web.Request, why: web.HTTPClientError) -> web.Response:
    """No such route, no such method, no WebSocket handshake: in the form of every refusal."""
    text = {404: f"There is no {request.path}.", 405: f"{request.path} does not take {request.method}."}
    answer = refusal(CommandError(ErrorCode.VALIDATION_FAILED, text.get(why.status, why.text)), status=why.status)
    if isinstance(why, web.HTTPMethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(why.allowed_methods))
    return answer


def _refused(why: str, error: CommandError, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    _turned_away.labels(why).inc()
    answer = refusal(error, status=status)
    answer.headers.update(headers or {})
    return answer


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Security headers on every response."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def _given_twice(request: web.Request) -> str:
    """A parameter of which nobody could say which value is meant; empty where there is none."""
    return next((name for name in request.query if len(request.query.getall(name)) > 1), "")


def _presented(request: web.Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(_SUBPROTOCOL_TOKEN):
            return offered.strip().removeprefix(_SUBPROTOCOL_TOKEN)
    return ""
