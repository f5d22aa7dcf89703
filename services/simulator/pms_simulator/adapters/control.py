"""The /sim/ routes: look at the truth, move the market, move the clock, make things go wrong.

Owns HTTP of the control routes; not part of the exchange's protocol, without keys and without limits.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from pms_simulator.app import control
from pms_simulator.app.market_driver import MarketDriver
from pms_simulator.app.venue import Venue
from pms_simulator.domain import faults
from pms_simulator.domain.errors import VenueError

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
Body = dict[str, Any]


class Control:
    """Handler of the control routes. ``close_sockets(route)`` drops WebSockets and says how many."""

    def __init__(self, venue: Venue, driver: MarketDriver) -> None:
        self._venue = venue
        self._driver = driver
        self.close_sockets: Callable[[str], int] = lambda route: 0
        self.socket_counts: Callable[[], dict[str, int]] = dict
        self._routes: dict[str, Callable[[Body], Any]] = {
            "GET /sim/state": lambda body: control.state(venue, self.socket_counts()),
            "GET /sim/requests": lambda body: control.requests(venue),
            "GET /sim/frames": lambda body: control.frames(venue),
            "GET /sim/counters": lambda body: control.counters(venue),
            "POST /sim/market": lambda body: control.move_market(venue, driver, body),
            "POST /sim/trade": lambda body: control.trade(venue, body),
            "POST /sim/clock": lambda body: control.set_clock(venue, body),
            "POST /sim/deposit": lambda body: control.deposit(venue, body),
            "POST /sim/faults": self._add_fault,
            "GET /sim/faults": lambda body: {"faults": [fault.kind for fault in venue.faults.active]},
            "DELETE /sim/faults": self._clear_faults,
        }

    def handle(self, method: str, path: str, query: str, body: str) -> web.Response:
        """Answer one control request."""
        route = self._routes.get(f"{method} {path}")
        if route is None:
            return _reply(404, {"code": -5000, "msg": f"No control route {method} {path}"})
        try:
            answer = route(_decode(body.encode()) if body else {})
        except msgspec.DecodeError as error:
            return _reply(400, {"code": -1100, "msg": f"Invalid JSON: {error}"})
        except VenueError as error:
            return _reply(error.http, {"code": error.code, "msg": error.msg})
        return _reply(200, answer)

    def _add_fault(self, body: Body) -> Any:
        fault = faults.parse(body, self._venue.now_ms())
        if fault.sockets is not None:
            return {"closed": self.close_sockets(fault.sockets)}
        self._venue.faults.add(fault)
        return {"active": len(self._venue.faults.active)}

    def _clear_faults(self, body: Body) -> Any:
        self._venue.faults.clear()
        return {"active": 0}


def _reply(status: int, answer: Any) -> web.Response:
    return web.Response(status=status, content_type="application/json", body=_encode(answer))
