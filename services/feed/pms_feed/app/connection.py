"""One connection of the feed, kept alive: connect, subscribe at the allowed pace, ping, reconnect with back-off.

Owns which streams are read through one connection's place, and the change to a new socket before the venue ends the old
one. Which symbols those are is decided by `app.watching`. Uses `app.session`, which is one socket.
"""

import asyncio
import random
from collections.abc import Iterable

from pms_common import metrics
from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.session import Connect, Session

log = get_logger(__name__)

TURN_S = 0.05
"""How often wanted and actual streams are compared: well inside the second a lease has."""
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
STEADY_MS = 30_000
"""A connection that lasted this long starts the back-off anew."""
LIFE_MS = 23 * 3_600_000
"""The venue ends a connection after 24 hours."""
LIFE_SPREAD = 0.1
"""Several connections are not renewed at one instant."""
OVERLAP_MS = 1_000
"""For so long both sockets are read: each stream's next diff has come by the new one."""
AGAIN_MS = 60_000
"""After a new socket could not be had while the old one still does its work."""

_reconnects = metrics.counter("feed_reconnects", "Market-data connections that ended or failed")
_rollovers = metrics.counter("feed_rollovers", "Market-data sockets replaced before the venue ends them")
_renewals = metrics.counter("feed_renewed_streams", "Streams asked for anew because they were silent")


class Connection:
    """Carries the streams of `markets` as long as `run` runs."""

    def __init__(self, connect: Connect, frames: Frames, life_ms: int = LIFE_MS) -> None:
        self._connect = connect
        self._frames = frames
        self._life_ms = int(life_ms * (1 - LIFE_SPREAD * random.random()))
        self._session: Session | None = None
        self._opening: asyncio.Task[Session] | None = None
        self._roll_over_ms = 0
        self._wanted: frozenset[str] = frozenset()
        self.markets: dict[str, Market] = {}

    @property
    def heard_ms(self) -> int:
        """When the peer last answered a ping or a control message; 0 while there is no connection."""
        return self._session.heard_ms if self._session is not None else 0

    def carry(self, markets: Iterable[Market]) -> None:
        """Carry exactly these; what stands is left alone."""
        self.markets = {market.symbol: market for market in markets}
        self._wanted = frozenset(stream for market in self.markets.values() for stream in market.streams)

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
        """From a connection to the next one that has to begin anew; why it ended."""
        session = self._session = await self._open()
        self._roll_over_ms = now_ms() + self._life_ms
        try:
            while True:
                if fault := session.turn(self._wanted, now_ms(), self._last_frame_ms()):
                    return fault
                session = self._session = self._newer(session, now_ms())
                await asyncio.wait((session.closed,), timeout=TURN_S)
        finally:
            self._session = None
            session.close("given up")
            if self._opening is not None and not self._opening.cancel():
                self._drop_successor()
            self._opening = None
            for market in self.markets.values():
                market.disconnected()

    async def _open(self) -> Session:
        """A new socket. Raises OSError or TimeoutError."""
        session = Session(self._frames.on_text, self._opened)
        await session.open(self._connect)
        return session

    def _newer(self, session: Session, now: int) -> Session:
        """The session to go on with: the successor of one that is near its end, once it carries all streams."""
        if self._opening is None:
            if now >= self._roll_over_ms:
                self._opening = asyncio.create_task(self._open())
            return session
        if not self._opening.done():
            return session
        failure = self._opening.exception()
        fault = str(failure) if failure is not None else self._opening.result().turn(self._wanted, now, 0)
        if fault:
            log.warning("rollover_failed", why=fault)
            self._drop_successor()
            self._roll_over_ms = now + AGAIN_MS
            return session
        successor = self._opening.result()
        if not successor.carries_since(self._wanted, now - OVERLAP_MS):
            return session
        _rollovers.inc()
        self._opening = None
        self._roll_over_ms = now + self._life_ms
        session.close("rolled over")
        return successor

    def _drop_successor(self) -> None:
        if self._opening is not None and self._opening.exception() is None:
            self._opening.result().close("given up")
        self._opening = None

    def _last_frame_ms(self) -> int:
        return max((max(market.quote_us, market.depth_us) for market in self.markets.values()), default=0) // 1000

    def renew(self, market: Market, stream: str) -> None:
        """Ask for a silent stream anew."""
        if self._session is None or not self._session.renew(stream, now_ms()):
            return
        _renewals.inc()
        log.warning("stream_silent", stream=stream)
        if stream == market.depth_stream:
            market.depth_restarted()

    def _opened(self, session: Session, streams: tuple[str, ...]) -> None:
        """The venue has confirmed streams; for a successor they were open before."""
        if self._session not in (None, session):
            return
        for stream in streams:
            if market := self._frames.routes.get(stream):
                market.opened(session.heard_ms)
