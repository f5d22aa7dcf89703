"""The /sim/ routes: look at the truth, move the market, move the clock, make things go wrong.

Owns HTTP of the control routes; not part of the exchange's protocol, without signatures and without limits. An account
is named by ``account`` (its name) or ``apiKey``, in the body or the query, or by the header X-MBX-APIKEY where a route
shows state.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from pms_simulator.app import control, fault_control
from pms_simulator.app.market_driver import MarketDriver
from pms_simulator.app.stage import SocketControl
from pms_simulator.app.venue import Venue
from pms_simulator.domain.errors import VenueError

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
Body = dict[str, Any]


class Control:
    """Handler of the control routes."""

    def __init__(self, venue: Venue, driver: MarketDriver, sockets: SocketControl) -> None:
        self._venue = venue
        self._routes: dict[str, Callable[[Body], Any]] = {
            "GET /sim/state": lambda body: control.state(venue, sockets.counts, body.get("account")),
            "GET /sim/requests": lambda body: control.requests(venue, body.get("account")),
            "GET /sim/frames": lambda body: control.frames(venue),
            "GET /sim/counters": lambda body: control.counters(venue),
            "DELETE /sim/limits": lambda body: control.clear_limits(venue),
            "POST /sim/market": lambda body: control.move_market(venue, driver, body),
            "POST /sim/trade": lambda body: control.trade(venue, body),
            "POST /sim/clock": lambda body: control.set_clock(venue, body),
            "POST /sim/deposit": lambda body: control.deposit(venue, body),
            "POST /sim/funding": lambda body: control.fund(venue, body),
            "GET /sim/accounts": lambda body: control.accounts(venue),
            "POST /sim/accounts": lambda body: control.add_account(venue, body),
            "POST /sim/faults": lambda body: fault_control.add(venue, sockets, body),
            "GET /sim/faults": lambda body: fault_control.listing(venue, body),
            "DELETE /sim/faults": lambda body: fault_control.clear(venue, body),
        }

    def handle(self, method: str, path: str, query: Body, body: str, key: str | None) -> web.Response:
        """Answer one control request."""
        route = self._routes.get(f"{method} {path}")
        if route is None:
            return _reply(404, {"code": -5000, "msg": f"No control route {method} {path}"})
        try:
            fields = {**query, **(_decode(body.encode()) if body else {})}
            if path != "/sim/accounts":
                self._resolve_account(fields, key if method == "GET" else None)
            answer = route(fields)
        except msgspec.DecodeError as error:
            return _reply(400, {"code": -1100, "msg": f"Invalid JSON: {error}"})
        except VenueError as error:
            return _reply(error.http, {"code": error.code, "msg": error.msg})
        return _reply(200, answer)

    def _resolve_account(self, fields: Body, key: str | None) -> None:
        """``apiKey`` and the header become ``account``."""
        named = fields.pop("apiKey", None) or fields.get("account") or key
        if named is not None:
            fields["account"] = self._venue.account(str(named)).name


def _reply(status: int, answer: Any) -> web.Response:
    return web.Response(status=status, content_type="application/json", body=_encode(answer))
