"""One socket to the venue: the control messages that lead to what is wanted, pings, and what proves it alive.

Owns one socket's subscriptions and their pace (`domain.subscriptions`). Never reconnects. Used by `app.connection`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import msgspec

from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.frames import Answer
from pms_feed.domain.subscriptions import Control, Request

log = get_logger(__name__)

PING_EVERY_MS = 1_000
HEARD_LIMIT_MS = 4_000


class Line(Protocol):
    """An open socket."""

    closed: asyncio.Future[str]

    def send(self, message: bytes) -> None: ...
    def ping(self) -> None: ...
    def close(self, why: str) -> None: ...


Connect = Callable[[Callable[[bytes], None], Callable[[], None]], Awaitable[Line]]
"""Opens a socket that hands over text messages and pongs. Raises OSError or TimeoutError."""
OnText = Callable[[Answer, bytes], None]
"""Takes a text message; answers to control messages it gives back."""
OnOpened = Callable[["Session", tuple[str, ...]], None]
"""Hears which streams the venue has confirmed."""


class Session:
    """One socket from `open` to its end."""

    def __init__(self, on_text: OnText, on_opened: OnOpened) -> None:
        self._on_text = partial(on_text, self._answered)
        self._on_opened = on_opened
        self._control = Control()
        self._line: Line | None = None
        self._pinged_ms = self._settled_ms = 0
        self.heard_ms = 0
        """When the peer last answered a ping or a control message."""

    async def open(self, connect: Connect) -> None:
        """Open the socket. Raises OSError or TimeoutError."""
        self._line = await connect(self._on_text, self._on_pong)
        self.heard_ms = self._pinged_ms = now_ms()

    @property
    def closed(self) -> asyncio.Future[str]:
        """Done when the socket has ended."""
        assert self._line is not None
        return self._line.closed

    def close(self, why: str) -> None:
        """End it."""
        if self._line is not None:
            self._line.close(why)

    def turn(self, wanted: frozenset[str], now: int, frame_ms: int) -> str:
        """Send what is due; a reason to give the connection up, or nothing. `frame_ms`: when a frame last came."""
        line = self._line
        if line is None or line.closed.done():
            return "" if line is None else line.closed.result()
        if self._control.overdue(now):
            return "a control message was not answered"
        if now - max(self.heard_ms, frame_ms) > HEARD_LIMIT_MS:
            return "no sign of life"
        if now - self._pinged_ms >= PING_EVERY_MS:
            self._pinged_ms = now
            line.ping()
        self._control.wanted = wanted
        while request := self._control.next(now):
            self._send(request)
        return ""

    def carries_since(self, wanted: frozenset[str], since_ms: int) -> bool:
        """Whether the venue had confirmed all that is wanted by then."""
        return self._control.settled(wanted) and self._settled_ms <= since_ms

    def renew(self, stream: str, now: int) -> bool:
        """Ask for a silent stream anew; whether the pace allows it now."""
        request = self._control.renew(stream, now)
        if request is None:
            return False
        self._send(request)
        return True

    def _send(self, request: Request) -> None:
        assert self._line is not None
        message = {"method": request.method, "params": request.streams, "id": request.id}
        self._line.send(msgspec.json.encode(message))

    def _answered(self, request_id: int, ok: bool) -> None:
        self.heard_ms = now_ms()
        request = self._control.answered(request_id, ok, self.heard_ms)
        if request is None:
            return
        if not ok:
            log.warning("subscription_refused", method=request.method, streams=request.streams[:5])
        elif request.method == "SUBSCRIBE":
            self._settled_ms = self.heard_ms
            self._on_opened(self, request.streams)

    def _on_pong(self) -> None:
        self.heard_ms = now_ms()
