"""The user stream: what the venue says about our orders, balances and positions.

Owns the listen key's life (made, prolonged every 30 minutes, replaced when dead; never deleted) and the connection with
its successor: before the venue ends a connection after 24 hours, and after an hour of silence, a second one is opened
beside it, both are heard for a while, and what both tell is handed on once, so that no gap exists. Events missed while
nothing was connected never come again: whoever listens reconciles after each `connected`. Never decides what an event
means.
"""

import asyncio
import time
from collections.abc import Callable

from pms_common import metrics
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.connecting import Backoff
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused, VenueUnreachable
from pms_orders.adapters.binance.seen import Seen
from pms_orders.adapters.binance.user_socket import Batch, UserSocket, open_socket

log = get_logger(__name__)

KEEP_ALIVE_S = 1_800.0
"""The venue asks for one within 60 minutes."""
DEAD_KEY = -1125
SILENT_S = 1.0
ROLL_OVER_S = 23 * 3_600.0
"""The venue ends a connection after 24 hours."""
QUIET_S = 3_600.0
"""A key that is dead, or never was good, shows by nothing but silence."""
OVERLAP_S = 5.0
"""How long two connections are heard: one may be behind the other."""
TRY_AGAIN_S = 60.0
GOOD_S = 10.0
"""A connection that lived this long was good: the next one is made at once. Others keep the pauses growing, so that
events nobody can read do not make a storm of connections."""

_replaced = metrics.counter("user_stream_replaced", "Connections that another one followed without a gap")
_repeated = metrics.counter("user_stream_repeated", "Events that two connections told, handed on once")
_gaps = metrics.counter("user_stream_gaps", "Times when nothing was heard and events may have been missed")
_delay = metrics.histogram(
    "user_stream_delay_seconds", "From an order event at the exchange to hearing of it, at most one a millisecond"
)


class UserStream:
    """Keeps the user stream. Spawn `run`.

    `connected(True)` means: everything from now on is heard; `connected(False, why)`: events may be missed. A
    connection that follows another one without a gap tells `connected(True)` again.
    """

    def __init__(
        self,
        rest: ExchangeClient,
        url: str,
        *,
        heard: Callable[[Batch], None],
        connected: Callable[[bool, str], None],
        venue_ms: Callable[[], int | None] = lambda: None,
        keep_alive_s: float = KEEP_ALIVE_S,
        roll_over_s: float = ROLL_OVER_S,
        quiet_s: float = QUIET_S,
        overlap_s: float = OVERLAP_S,
    ) -> None:
        self._rest = rest
        self._url = url.rstrip("/")
        self._heard = heard
        self._connected = connected
        self._venue_ms = venue_ms
        self._measured_ms = 0
        self._keep_alive_s = keep_alive_s
        self._roll_over_s = roll_over_s
        self._quiet_s = quiet_s
        self._overlap_s = overlap_s
        self._sockets: list[UserSocket] = []
        self._seen: Seen | None = None
        self._key = ""
        self._why = ""
        self._closing = False
        self._heard_s = 0.0

    def doubt(self) -> None:
        """An order moved and this stream did not tell: where it has told nothing at all lately, connect anew."""
        if self._sockets and time.monotonic() - self._heard_s > SILENT_S:
            self.restart("silent while orders move")

    def restart(self, why: str) -> None:
        """Connect anew: the stream is silent while it should speak, or its key is dead."""
        log.warning("user_stream_restarts", why=why)
        self._why = why
        self._drop_all()

    async def close(self) -> None:
        """Disconnect for good. The listen key stays: others may use it, and a successor will."""
        self._closing = True
        self._drop_all()

    def _drop_all(self) -> None:
        for socket in self._sockets:
            socket.drop()

    async def run(self) -> None:
        """Keep connected until cancelled. Raises what a listener raised: a defect, which must stop the service."""
        backoff = Backoff()
        while not self._closing:
            try:
                await self._live(backoff)
            except (OSError, VenueRefused, VenueUnreachable) as error:
                self._why = str(error)
            if self._closing:
                return
            _gaps.inc()
            self._connected(False, self._why or "the user stream is disconnected")
            await backoff.wait()

    async def _live(self, backoff: Backoff) -> None:
        """From a connection after a gap to the end of the last one that followed it without."""
        socket = await self._open()
        self._why = ""
        began_s = self._heard_s = time.monotonic()
        self._connected(True, "")
        keeping = asyncio.create_task(self._keep_alive(), name="listen_key")
        try:
            while not await socket.ended_within(self._due_s(socket)):
                if self._due_s(socket) <= 0:  # nothing was heard meanwhile
                    socket = await self._succeed(socket)
        finally:
            keeping.cancel()
            self._drop_all()
            self._sockets.clear()
        if time.monotonic() - began_s > GOOD_S:
            backoff.reset()

    async def _open(self) -> UserSocket:
        self._key = await self._rest.listen_key()
        socket = await open_socket(self._url, self._key, self._hear, self.restart)
        self._sockets.append(socket)
        return socket

    def _due_s(self, socket: UserSocket) -> float:
        """In how many seconds this connection needs a successor."""
        old_s = socket.opened_s + self._roll_over_s
        quiet_s = max(self._heard_s, socket.opened_s) + self._quiet_s
        return max(min(old_s, quiet_s), socket.no_successor_before_s) - time.monotonic()

    async def _succeed(self, old: UserSocket) -> UserSocket:
        """Have another connection follow; the one to be used from now on: the old one where that failed."""
        old.no_successor_before_s = time.monotonic() + min(TRY_AGAIN_S, self._roll_over_s)
        self._seen = Seen()
        try:
            new = await self._open()
            if self._why:  # to be connected anew meanwhile: the new one's key may be as dead
                new.drop()
                return old
            if old.ended:
                _gaps.inc()
                self._connected(False, "the connection ended before its successor was there")
            if await new.ended_within(self._overlap_s):
                self._sockets.remove(new)
                return old
            await self._let_go(old)
        except (OSError, VenueRefused, VenueUnreachable) as error:
            log.warning("user_stream_not_replaced", error=str(error))
            return old
        finally:
            self._seen = None
        _replaced.inc()
        self._connected(True, "")
        return new

    async def _let_go(self, socket: UserSocket) -> None:
        socket.drop()
        await socket.ended_within(self._overlap_s)
        self._sockets.remove(socket)

    def _hear(self, batch: Batch) -> None:
        self._heard_s = time.monotonic()
        if self._seen is not None:
            count = len(batch)
            batch = self._seen.new(batch)
            _repeated.inc(count - len(batch))
        for event in batch:
            if type(event) is wire.ListenKeyExpired:
                self.restart("the listen key has expired")
        self._measure(batch)
        self._heard(batch)

    def _measure(self, batch: Batch) -> None:
        first = batch[0] if batch else None
        if type(first) is not wire.OrderTradeUpdate:
            return
        now_ms = self._venue_ms()
        if now_ms is not None and now_ms != self._measured_ms:
            self._measured_ms = now_ms
            _delay.observe(max(0, now_ms - first.event_ms) / 1000)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._keep_alive_s)
            try:
                key = await self._rest.keep_listen_key()
            except VenueRefused as error:
                if error.error.code == DEAD_KEY:
                    self.restart("the listen key is dead")
                    return
                log.warning("listen_key_not_prolonged", error=str(error))
            except VenueUnreachable as error:
                log.warning("listen_key_not_prolonged", error=str(error))
            else:
                if key != self._key:  # somebody has deleted ours and made another one
                    self.restart("the account has another listen key")
                    return
