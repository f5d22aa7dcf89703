"""One connection of the user stream: its frames gathered into batches, and its end.

Owns the batches in which events are handed on: all that one read of the socket brought. Never connects again and never
decides what an event means: that is the user stream's and its listener's. Used by `user_stream`.
"""

import asyncio
import time
from collections.abc import Callable
from urllib.parse import quote

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from pms_common import metrics
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.connecting import connect

log = get_logger(__name__)

EVENTS = "/".join(wire.USER_EVENTS)
"""The route is told which events to send: its names are not checked there, and no name means none or all."""

_unreadable = metrics.counter("user_stream_unreadable", "Events that could not be decoded")

Batch = list[wire.FeedEvent]


class UserSocket(WSListener):
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
        self._ended = asyncio.Event()
        self._defect: Exception | None = None
        self.opened_s = time.monotonic()
        self.no_successor_before_s = 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing more comes from it."""
        return self._ended.is_set()

    def drop(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def ended_within(self, seconds: float) -> bool:
        """Wait for its end, at most so long; whether it has come. Raises what its listener raised: a defect."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._ended.wait()
        except TimeoutError:
            return self.ended
        if self._defect is not None:
            raise self._defect
        return True

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
        try:
            self._hand_on()
        finally:
            self._ended.set()

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
        except Exception:  # noqa: BLE001 (kept as `_defect`: who waits for the end raises it)
            self.drop()

    def _hand_on(self) -> None:
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        try:
            self._heard(batch)
        except Exception as defect:  # the transport would only log it: who waits for the end raises it
            self._defect = defect
            raise


async def open_socket(url: str, key: str, heard: Callable[[Batch], None], missed: Callable[[str], None]) -> UserSocket:
    """Connect to the /private route with a listen key. Raises OSError or TimeoutError."""
    socket = UserSocket(heard, missed)
    await connect(lambda: socket, f"{url}/private/ws?listenKey={quote(key, safe='')}&events={EVENTS}")
    socket.opened_s = time.monotonic()
    return socket
