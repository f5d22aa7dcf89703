"""The door's guard: every request has a role before it reaches a route.

Owns what is open to all (probes and the page itself, which holds no data) and how a token is presented: as
`Authorization: Bearer`, or for browsers' WebSockets as the subprotocol `bearer.<token>`.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_gateway.door.answers import refusal
from pms_gateway.door.page import PATHS
from pms_gateway.door.tokens import Role, Tokens

OPEN = frozenset({*PATHS, "/health", "/ready", "/metrics"})
ROLE = web.RequestKey("role", Role)
SUBPROTOCOL = "pms.events"
_SUBPROTOCOL_TOKEN = "bearer."

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
    if request[ROLE] < needed:
        raise Forbidden(needed)


def guard(tokens: Tokens) -> Middleware:
    """The middleware."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN:
            role = tokens.role_of(_presented(request))
            if role is None:
                error = CommandError(ErrorCode.AUTH_TOKEN_REQUIRED)
                return refusal(error, status=401)
            request[ROLE] = role
        try:
            return await handler(request)
        except Forbidden as why:
            text = f"This needs a token with the role {why.needed.name.lower()}."
            return refusal(CommandError(ErrorCode.AUTH_ROLE_FORBIDDEN, text), status=403)
        except web.HTTPNotFound:
            return refusal(CommandError(ErrorCode.VALIDATION_FAILED, f"There is no {request.path}."), status=404)
        except web.HTTPMethodNotAllowed:
            text = f"{request.path} does not take {request.method}."
            return refusal(CommandError(ErrorCode.VALIDATION_FAILED, text), status=405)

    return middleware


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Security headers on every response."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def _presented(request: web.Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(_SUBPROTOCOL_TOKEN):
            return offered.strip().removeprefix(_SUBPROTOCOL_TOKEN)
    return ""
