"""The WebSocket API: one JSON request a frame, one JSON answer, in the order requests finish.

Owns framing, statuses and ``rateLimits``. Every request goes through the same ``dispatch`` as REST.
"""

import asyncio
from typing import Any

import msgspec
from picows import WSCloseCode

from pms_simulator.adapters.ws_base import Socket
from pms_simulator.app.dispatch import Incoming, carry_out, receive
from pms_simulator.app.request import Session
from pms_simulator.app.router import WS
from pms_simulator.app.venue import Venue
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults import Verdict
from pms_simulator.domain.intake import stringify

HANDSHAKE_WEIGHT = 5
_encode = msgspec.json.Encoder().encode


class _Message(msgspec.Struct):
    method: str
    id: str | int | None = None
    params: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Message).decode


class ApiSocket(Socket):
    """A WebSocket API connection."""

    route = "ws-api"

    def __init__(self, venue: Venue, registry: set[Socket], query: dict[str, list[str]]) -> None:
        super().__init__(registry)
        self._venue = venue
        self._session = Session(venue.now_ms(), query.get("returnRateLimits", ["true"])[-1] != "false")
        self._ip = ""
        self._accounts: set[str] = set()

    @property
    def accounts(self) -> frozenset[str]:
        """Accounts that have asked through it."""
        return frozenset(self._accounts)

    def opened(self) -> None:
        """The handshake costs weight; an address that may not spend it is sent away."""
        self._ip = self.remote
        try:
            self._venue.limits.spend(self._ip, HANDSHAKE_WEIGHT, self._venue.now_ms())
        except VenueError:
            self.drop(WSCloseCode.POLICY_VIOLATION)

    def received(self, payload: bytes) -> None:
        """One request."""
        try:
            message = _decode(payload)
        except msgspec.DecodeError as error:
            self._refuse(None, 400, -1135, f"Invalid JSON or request: {error}")
            return
        route = WS.get(message.method)
        if route is None:
            self._refuse(message.id, 400, -1100, f"Unknown method '{message.method}'.")
            return
        params = stringify(message.params)
        key = params.get("apiKey") or self._session.key
        incoming = Incoming("ws", route, params, key, self._ip, session=self._session)
        verdict = receive(self._venue, incoming)
        if incoming.key is not None:
            self._accounts.add(incoming.key.account.name)
        if verdict is not None and verdict.delay_before_ms:
            wait = verdict.delay_before_ms / 1000
            asyncio.get_running_loop().call_later(wait, self._run, message.id, incoming, verdict)
        else:
            self._run(message.id, incoming, verdict)

    def _run(self, request_id: str | int | None, incoming: Incoming, verdict: Verdict | None) -> None:
        status, answer, error = carry_out(self._venue, incoming, verdict)
        if verdict is not None and not verdict.answer:
            if verdict.disconnect:
                self.drop(WSCloseCode.GOING_AWAY)
            return
        reply: dict[str, Any] = {"id": request_id, "status": status}
        if error is None:
            reply["result"] = answer
        else:
            if error.retry_after_s is not None:
                now_ms = self._venue.now_ms()
                answer["data"] = {"serverTime": now_ms, "retryAfter": now_ms + error.retry_after_s * 1000}
            reply["error"] = answer
        if self._session.show_limits and incoming.params.get("returnRateLimits") != "false":
            reply["rateLimits"] = self._limits(incoming)
        if verdict is not None and verdict.delay_after_ms:
            wait = verdict.delay_after_ms / 1000
            asyncio.get_running_loop().call_later(wait, self.send_json, reply)
        else:
            self.send_text(_encode(reply))

    def _refuse(self, request_id: str | int | None, status: int, code: int, text: str) -> None:
        self.send_json({"id": request_id, "status": status, "error": {"code": code, "msg": text}})

    def _limits(self, incoming: Incoming) -> list[dict[str, Any]]:
        limits, now_ms, key = self._venue.limits, self._venue.now_ms(), incoming.key
        config = limits.config
        if not incoming.route.orders[0] or key is None:
            used = limits.used_weight(incoming.address, now_ms)
            return [_limit("REQUEST_WEIGHT", "MINUTE", 1, config.weight_per_minute, used)]
        counts = limits.counts(key.account.name)
        return [
            _limit("ORDERS", "SECOND", 10, config.orders_per_ten_seconds, counts.ten_seconds.used(now_ms)),
            _limit("ORDERS", "MINUTE", 1, config.orders_per_minute, counts.minute.used(now_ms)),
        ]


def _limit(kind: str, interval: str, number: int, limit: int, count: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit, "count": count}
