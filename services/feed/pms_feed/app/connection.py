"""One connection of the feed, kept alive: connect, subscribe at the allowed pace, ping, reconnect with back-off.

Owns what one socket carries. Which symbols that are is decided by `app.watching`. Uses `domain.subscriptions` for the
messages and hands frames to `app.frames`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol

import msgspec

from pms_common import metrics
from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.domain.subscriptions import Control, Request

log = get_logger(__name__)

TURN_S = 0.05
"""How often wanted and actual streams are compared: well inside the second a lease has."""
PING_EVERY_MS = 1_000
HEARD_LIMIT_MS = 4_000
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
STEADY_MS = 30_000
"""A connection that lasted this long starts the back-off anew."""

_reconnects = metrics.counter("feed_reconnects", "Market-data connections that ended or failed")
_renewals = metrics.counter("feed_renewed_streams", "Streams asked for anew because they were silent")


class Line(Protocol):
    """An open socket."""

    closed: asyncio.Future[str]

    def send(self, message: bytes) -> None: ...
    def ping(self) -> None: ...
    def close(self, why: str) -> None: ...


Connect = Callable[[Callable[[bytes], None], Callable[[], None]], Awaitable[Line]]
"""Opens a socket that hands over text messages and pongs. Raises OSError or TimeoutError."""


class Connection:
    """Carries the streams of `markets` as long as `run` runs."""

    def __init__(self, connect: Connect, frames: Frames) -> None:
        self._connect = connect
        self._frames = frames
        self._control = Control()
        self._line: Line | None = None
        self._heard_ms = 0
        self._pinged_ms = 0
        self.markets: dict[str, Market] = {}

    @property
    def heard_ms(self) -> int:
        """When the peer last answered a ping or a control message; 0 while there is no connection."""
        return self._heard_ms if self._line is not None else 0

    def carry(self, markets: Iterable[Market]) -> None:
        """Carry exactly these; what stands is left alone."""
        self.markets = {market.symbol: market for market in markets}
        self._control.wanted = frozenset(stream for market in self.markets.values() for stream in market.streams)

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        wait_s = FIRST_WAIT_S
        while True:
            began_ms = now_ms()
            try:
                why = await self._live()
            except (OSError, TimeoutError) as error:
                why = f"{type(error).__name__}: {error}"
            _reconnects.inc()
            log.warning("feed_disconnected", why=why, symbols=len(self.markets))
            wait_s = FIRST_WAIT_S if now_ms() - began_ms > STEADY_MS else min(wait_s * 2, LONGEST_WAIT_S)
            # Half fixed, half random, so that several connections do not come back at one instant.
            await asyncio.sleep(wait_s * (0.5 + random.random() / 2))

    async def _live(self) -> str:
        """One connection from beginning to end; why it ended."""
        line = await self._connect(partial(self._frames.on_text, self._answered), self._on_pong)
        self._control.restart()
        self._heard_ms = self._pinged_ms = now_ms()
        self._line = line
        try:
            while not line.closed.done():
                if fault := self._turn(line, now_ms()):
                    return fault
                await asyncio.wait((line.closed,), timeout=TURN_S)
            return line.closed.result()
        finally:
            self._line = None
            line.close("given up")
            for market in self.markets.values():
                market.disconnected()

    def _turn(self, line: Line, now: int) -> str:
        """Send what is due; a reason to give the connection up, or nothing."""
        if self._control.overdue(now):
            return "a control message was not answered"
        if now - max(self._heard_ms, self._last_frame_ms()) > HEARD_LIMIT_MS:
            return "no sign of life"
        if now - self._pinged_ms >= PING_EVERY_MS:
            self._pinged_ms = now
            line.ping()
        while request := self._control.next(now):
            self._send(line, request)
        return ""

    def _send(self, line: Line, request: Request) -> None:
        message = {"method": request.method, "params": request.streams, "id": request.id}
        line.send(msgspec.json.encode(message))

    def _last_frame_ms(self) -> int:
        return max((max(market.quote_us, market.depth_us) for market in self.markets.values()), default=0) // 1000

    def renew(self, market: Market, stream: str) -> None:
        """Ask for a silent stream anew."""
        request = self._control.renew(stream, now_ms()) if self._line is not None else None
        if request is None or self._line is None:
            return
        _renewals.inc()
        log.warning("stream_silent", stream=stream)
        self._send(self._line, request)
        if stream == market.depth_stream:
            market.depth_restarted()

    def _answered(self, request_id: int, ok: bool) -> None:
        self._heard_ms = now_ms()
        request = self._control.answered(request_id, ok, self._heard_ms)
        if request is None:
            return
        if not ok:
            log.warning("subscription_refused", method=request.method, streams=request.streams[:5])
        elif request.method == "SUBSCRIBE":
            self._opened(request.streams)

    def _opened(self, streams: tuple[str, ...]) -> None:
        for stream in streams:
            if market := self._frames.routes.get(stream):
                market.opened(self._heard_ms)

    def _on_pong(self) -> None:
        self._heard_ms = now_ms()
