"""REST over aiohttp: from an HTTP request to ``dispatch`` and back.

Owns HTTP: parameters from query and body, headers, status codes, held-back and missing answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web

from pms_simulator.adapters.control import Control
from pms_simulator.app.dispatch import Incoming, Outcome, carry_out, receive
from pms_simulator.app.request import Route
from pms_simulator.app.router import REST
from pms_simulator.app.venue import Venue
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults import Verdict

JSON = "application/json"
Probe = Callable[[Any], Awaitable[web.StreamResponse]]
_encode = msgspec.json.Encoder().encode


def parse_pairs(text: str) -> dict[str, str]:
    """Form-encoded parameters; the last of equal names wins."""
    params: dict[str, str] = {}
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        if equals:
            params[unquote_plus(name)] = unquote_plus(value) if "%" in value or "+" in value else value
    return params


class RestServer:
    """Handler of every HTTP request."""

    def __init__(self, venue: Venue, control: Control, probes: Mapping[str, Probe]) -> None:
        self._venue = venue
        self._probes = probes
        self._control = control

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """One request: the exchange's routes, or the control routes under /sim/."""
        path, _, query = http.raw_path.partition("?")
        body = (await http.read()).decode("utf-8", "replace") if http.can_read_body else ""
        if path.startswith("/sim/"):
            return self._control.handle(http.method, path, parse_pairs(query), body, http.headers.get("X-MBX-APIKEY"))
        route = REST.get(f"{http.method} {path}")
        if route is None:
            if path in self._probes:
                return await self._probes[path](http)
            return web.Response(status=404, content_type=JSON, body=_encode({"code": -5000, "msg": _no_route(path)}))
        return await self._run(http, route, query, body)

    async def _run(self, http: web.BaseRequest, route: Route, query: str, body: str) -> web.StreamResponse:
        venue = self._venue
        incoming = Incoming(
            "rest",
            route,
            {**parse_pairs(body), **parse_pairs(query)},
            http.headers.get("X-MBX-APIKEY"),
            http.remote or "",
            query,
            body,
        )
        verdict = receive(venue, incoming)
        if verdict is not None and verdict.delay_before_ms:
            status, answer, error = await self._run_late(incoming, verdict)
        else:
            status, answer, error = carry_out(venue, incoming, verdict)
        if verdict is not None:
            if verdict.delay_after_ms:
                await asyncio.sleep(verdict.delay_after_ms / 1000)
            if not verdict.answer:
                await _no_answer(http, hang_up=verdict.disconnect)
        return web.Response(
            status=status, content_type=JSON, body=_encode(answer), headers=self._headers(incoming, error)
        )

    async def _run_late(self, incoming: Incoming, verdict: Verdict) -> Outcome:
        """Execute after the delay, even if the client has gone by then."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def run() -> None:
            outcome = carry_out(self._venue, incoming, verdict)
            if not done.cancelled():
                done.set_result(outcome)

        asyncio.get_running_loop().call_later(verdict.delay_before_ms / 1000, run)
        return await done

    def _headers(self, incoming: Incoming, error: VenueError | None) -> dict[str, str]:
        venue, now_ms = self._venue, self._venue.now_ms()
        headers = {"X-MBX-USED-WEIGHT-1M": str(venue.limits.used_weight(incoming.address, now_ms))}
        key = incoming.key
        if incoming.route.orders[0] and key is not None and error is None:
            counts = venue.limits.counts(key.account.name)
            headers["X-MBX-ORDER-COUNT-10S"] = str(counts.ten_seconds.used(now_ms))
            headers["X-MBX-ORDER-COUNT-1M"] = str(counts.minute.used(now_ms))
        if error is not None and error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
        return headers


async def _no_answer(http: web.BaseRequest, *, hang_up: bool) -> None:
    """Stay silent until the client gives up, or drop the connection now."""
    transport = http.transport
    if transport is not None and hang_up:
        transport.abort()
    await asyncio.Event().wait()  # aiohttp cancels the handler when the connection is gone


def _no_route(path: str) -> str:
    return f"Path {path}, Method is invalid"
