"""The WebSocket of live events: replay from an id, then live, in one order without holes.

Owns one task a socket. A socket that falls out of the ring is slow: it is closed with the reason and the id of the
last event it was sent, from which it can read on. Never holds a queue for a socket.
"""

import asyncio
import contextlib
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.metrics import counter, gauge
from pms_gateway.adapters.log_store import LogStore, account_of
from pms_gateway.app.hub import OF_ALL, Hub, Ring
from pms_gateway.domain.sequencer import parse_id
from pms_gateway.door.access import SUBPROTOCOL, TOKEN
from pms_gateway.door.answers import refusal
from pms_gateway.door.tokens import Token, Tokens

BATCH = 200
PING_S = 30.0
LOOK_S = 0.5
"""How often a blocked socket is looked at."""
CLOSE_S = 5.0
TOO_SLOW = "too slow"
STOPPING = "the gateway is stopping"
REVOKED = "the token is no longer valid"
CODES = {
    TOO_SLOW: WSCloseCode.TRY_AGAIN_LATER,
    STOPPING: WSCloseCode.GOING_AWAY,
    REVOKED: WSCloseCode.POLICY_VIOLATION,
}

_sockets = gauge("event_sockets", "Open WebSockets")
_slow = counter("event_sockets_slow", "WebSockets closed because they were too slow")


class _Cursor:
    """How far one socket has come: `position` in its ring once it is live, until then the id of the last event.

    `account_id` is whose events alone it follows; empty for all.
    """

    def __init__(self, ring: Ring, account_id: str, after: str) -> None:
        """Raises ValueError for an `after` that is no event id."""
        self.ring, self.account_id = ring, account_id
        self.last = parse_id(after) if after else (0, 0)
        self.position = ring.position_after(self.last) if after else ring.end


class EventSocket:
    """GET /v1/events."""

    def __init__(self, hub: Hub, store: LogStore, stopping: asyncio.Event, tokens: Callable[[], Tokens]) -> None:
        self._hub, self._store, self._stopping, self._tokens = hub, store, stopping, tokens

    def routes(self) -> list[web.RouteDef]:
        """The route."""
        return [web.get("/v1/events", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        account_id = request.query.get("subAccountId", "")
        with self._hub.following(account_id) as ring:
            try:
                cursor = _Cursor(ring, account_id, request.query.get("after", ""))
            except ValueError:
                text = "after: expected an eventId such as 1700000000000-0"
                return refusal(CommandError(ErrorCode.VALIDATION_FAILED, text, field="after"))
            return await self._follow(request, cursor)

    async def _follow(self, request: web.Request, cursor: _Cursor) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=PING_S, timeout=CLOSE_S, compress="compress" in request.query, protocols=(SUBPROTOCOL,)
        )
        await socket.prepare(request)
        _sockets.inc()
        reason = await self._until_ended(socket, cursor, request[TOKEN])
        if reason:
            reason = f"{reason}; read on with after={cursor.last[0]}-{cursor.last[1]}"
        await _close(request, socket, reason)
        return socket

    async def _until_ended(self, socket: web.WebSocketResponse, cursor: _Cursor, token: Token) -> str:
        """Why the gateway ends the socket; empty where the other side did."""
        works = (self._send(socket, cursor), self._receive(socket), self._judge(cursor, token), self._stop())
        tasks = {asyncio.create_task(work) for work in works}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return max(task.result() for task in done)
        finally:
            _sockets.dec()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, socket: web.WebSocketResponse, cursor: _Cursor) -> str:
        with contextlib.suppress(ConnectionError):
            while not socket.closed:
                if cursor.position is None:
                    await self._replay(socket, cursor)
                    continue
                if cursor.position < cursor.ring.start:
                    return TOO_SLOW
                await cursor.ring.wait(cursor.position)
                for event in cursor.ring.read(cursor.position, BATCH):
                    if event.event_id > cursor.last:  # else it came from the log before it came into the ring
                        await socket.send_frame(event.payload, WSMsgType.TEXT)
                        cursor.last = event.event_id
                    cursor.position += 1
        return ""

    async def _replay(self, socket: web.WebSocketResponse, cursor: _Cursor) -> None:
        """A page from the log; then live, from where the ring can go on or from its start where the log has no more."""
        page = await self._store.after(cursor.last, BATCH)
        for event_id, payload in page:
            if not cursor.account_id or account_of(payload) in (cursor.account_id, OF_ALL):
                await socket.send_frame(payload, WSMsgType.TEXT)
            cursor.last = event_id
        cursor.position = cursor.ring.position_after(cursor.last)
        if cursor.position is None and not page:
            cursor.position = cursor.ring.start

    async def _receive(self, socket: web.WebSocketResponse) -> str:
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                break
        return ""

    async def _judge(self, cursor: _Cursor, token: Token) -> str:
        """Wait until the socket, blocked in a send, has fallen out of the ring, or its token is taken back."""
        while True:
            await asyncio.sleep(LOOK_S)
            if token not in self._tokens():
                return REVOKED
            if cursor.position is not None and cursor.position < cursor.ring.start:
                return TOO_SLOW

    async def _stop(self) -> str:
        await self._stopping.wait()
        return STOPPING


async def _close(request: web.Request, socket: web.WebSocketResponse, reason: str) -> None:
    """Tell the reason, and do not wait for a socket that takes nothing."""
    if reason.startswith(TOO_SLOW):
        _slow.inc()
    code = next((code for why, code in CODES.items() if reason.startswith(why)), WSCloseCode.OK)
    try:
        async with asyncio.timeout(CLOSE_S):
            await socket.close(code=code, message=reason.encode(), drain=False)
    except TimeoutError:
        pass
    if request.transport is not None and not socket.closed:
        request.transport.abort()
