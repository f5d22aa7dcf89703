"""The user stream: what the venue says about our orders, balances and positions.

Owns the listen key's life (made, prolonged every 30 minutes, replaced when dead; never deleted), the connection to the
/private route, and the batches in which events are handed on: all that one read of the socket brought. Events missed
while it was down never come again: whoever listens reconciles after each `connected`. Never decides what one means.
"""

import asyncio
import time
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from pms_common import metrics
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.connecting import Backoff, connect
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused, VenueUnreachable

log = get_logger(__name__)

KEEP_ALIVE_S = 1_800.0
"""The venue asks for one within 60 minutes."""
DEAD_KEY = -1125
SILENT_S = 1.0
GOOD_S = 10.0
"""A connection that lived this long was good: the next one is made at once. Others keep the pauses growing, so that
events nobody can read do not make a storm of connections."""

_events = metrics.counter("user_stream_events", "Events of the user stream", ["kind"])
_unreadable = metrics.counter("user_stream_unreadable", "Events that could not be decoded")

Batch = list[wire.FeedEvent]


class _Listener(WSListener):
    """Gathers the events of one read and hands them on together.

    The transport answers pings itself, so the last frame of a read is not always seen here: what is left then is handed
    on in the next turn of the loop.
    """

    def __init__(self, heard: Callable[[Batch], None], missed: Callable[[str], None]) -> None:
        self._heard = heard
        self._missed = missed
        self._batch: Batch = []
        self._fragments = b""
        self._loop = asyncio.get_running_loop()
        self._later = False
        self._transport: WSTransport | None = None
        self.defect: Exception | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.TEXT or kind is WSMsgType.CONTINUATION:
            payload = frame.get_payload_as_bytes()
            if not frame.fin:
                self._fragments += payload
                return
            if self._fragments:
                payload, self._fragments = self._fragments + payload, b""
            self._gather(payload)
        if frame.last_in_buffer or kind is WSMsgType.CLOSE:
            self._hand_on()
        elif self._batch and not self._later:
            self._later = True
            self._loop.call_soon(self._hand_on_the_rest)
        if kind is WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        self._hand_on()

    def _gather(self, payload: bytes) -> None:
        try:
            event = wire.decode_event(payload)
        except wire.UNREADABLE as error:
            _unreadable.inc()
            log.error("user_event_unreadable", error=str(error), payload=payload[:500])
            self._hand_on()
            self._missed("an event could not be read")
            return
        if event is not None:
            self._batch.append(event)

    def _hand_on_the_rest(self) -> None:
        self._later = False
        try:
            self._hand_on()
        except Exception:  # noqa: BLE001 (kept as `defect`: `run` raises it once the connection has ended)
            if self._transport is not None:
                self._transport.disconnect(graceful=False)

    def _hand_on(self) -> None:
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        try:
            self._heard(batch)
        except Exception as defect:  # the transport would only log it: `run` raises it
            self.defect = defect
            raise


class UserStream:
    """Keeps one connection of the user stream. Spawn `run`.

    `connected(True)` means: everything from now on is heard; `connected(False, why)`: events may be missed.
    """

    def __init__(
        self,
        rest: ExchangeClient,
        url: str,
        *,
        heard: Callable[[Batch], None],
        connected: Callable[[bool, str], None],
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._rest = rest
        self._url = url.rstrip("/")
        self._heard = heard
        self._connected = connected
        self._keep_alive_s = keep_alive_s
        self._transport: WSTransport | None = None
        self._why = ""
        self._closing = False
        self._heard_s = 0.0

    def doubt(self) -> None:
        """An order moved and this stream did not tell: where it has told nothing at all lately, connect anew."""
        if self._transport is not None and time.monotonic() - self._heard_s > SILENT_S:
            self.restart("silent while orders move")

    def restart(self, why: str) -> None:
        """Connect anew: the stream is silent while it should speak, or its key is dead."""
        log.warning("user_stream_restarts", why=why)
        self._why = why
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def close(self) -> None:
        """Disconnect for good. The listen key stays: others may use it, and a successor will."""
        self._closing = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def run(self) -> None:
        """Keep connected until cancelled. Raises what a listener raised: a defect, which must stop the service."""
        backoff = Backoff()
        while not self._closing:
            try:
                await self._live(backoff)
            except (OSError, VenueRefused, VenueUnreachable) as error:
                self._why = str(error)
            self._transport = None
            if self._closing:
                return
            self._connected(False, self._why or "the user stream is disconnected")
            await backoff.wait()

    async def _live(self, backoff: Backoff) -> None:
        key = await self._rest.listen_key()
        listener = _Listener(self._hear, self.restart)
        transport = self._transport = await connect(lambda: listener, f"{self._url}/private/ws/{key}")
        self._why = ""
        self._heard_s = connected_s = time.monotonic()
        self._connected(True, "")
        keeping = asyncio.create_task(self._keep_alive(), name="listen_key")
        try:
            await transport.wait_disconnected()
        finally:
            keeping.cancel()
            transport.disconnect(graceful=False)
        if time.monotonic() - connected_s > GOOD_S:
            backoff.reset()
        if listener.defect is not None:
            raise listener.defect

    def _hear(self, batch: Batch) -> None:
        self._heard_s = time.monotonic()
        for event in batch:
            if type(event) is wire.ListenKeyExpired:
                self.restart("the listen key has expired")
        self._heard(batch)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._keep_alive_s)
            try:
                await self._rest.keep_listen_key()
            except VenueRefused as error:
                if error.error.code == DEAD_KEY:
                    self.restart("the listen key is dead")
                    return
                log.warning("listen_key_not_prolonged", error=str(error))
            except VenueUnreachable as error:
                log.warning("listen_key_not_prolonged", error=str(error))
