"""One WebSocket connection to the venue's market-data route, by picows.

Owns frames, fragments, pings and their answers. Never decodes. Used by `app.connection`.
picows is a measured choice: receiving and decoding a bookTicker frame under flood took 1.8 µs with it, 3.0 µs with
aiohttp's client and 7.3 µs with websockets.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

STREAMS_ROUTE = "/public/stream"
"""Since 2026-04-23 depth and bookTicker are served on this route only."""
MARKS_ROUTE = "/market/stream"
"""And mark prices on this one."""
CONNECT_WITHIN_S = 5.0
MAX_FRAME_BYTES = 4 * 1024 * 1024
READ_BUFFER_BYTES = 256 * 1024
READ_BYTES = 64 * 1024
"""At a time: a flood then leaves the loop a turn every few milliseconds."""

_TEXT = WSMsgType.TEXT


class Socket(WSListener):
    """Hands every text message to `on_text` and every sign of life of the peer to `on_pong`."""

    def __init__(self, on_text: Callable[[bytes], None], on_pong: Callable[[], None]) -> None:
        self._on_text = on_text
        self._on_pong = on_pong
        self._fragments = bytearray()
        self._transport: WSTransport | None = None
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is _TEXT and frame.fin:
            self._on_text(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.PONG:
            self._on_pong()
        elif frame.msg_type is WSMsgType.CLOSE:
            self._end(f"closed by the venue: {frame.get_close_code()}")
            transport.disconnect()
        elif frame.msg_type in (_TEXT, WSMsgType.CONTINUATION):
            self._gather(frame)

    def _gather(self, frame: WSFrame) -> None:
        if frame.msg_type is _TEXT:
            self._fragments.clear()
        self._fragments += frame.get_payload_as_bytes()
        if len(self._fragments) > MAX_FRAME_BYTES:
            self.close("a message is larger than any of the venue's")
        elif frame.fin:
            message, self._fragments = bytes(self._fragments), bytearray()
            self._on_text(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end("connection lost")

    def _end(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)

    def send(self, message: bytes) -> None:
        """Send a text message."""
        if self._transport is not None:
            self._transport.send(_TEXT, message)

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._transport is not None:
            self._transport.send_ping()

    def close(self, why: str) -> None:
        """Give the connection up, without waiting for the peer."""
        self._end(why)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


class Sips(asyncio.BufferedProtocol):
    """Stands between the transport and picows' protocol, and has at most `READ_BYTES` read at a time.

    picows doubles its buffer whenever one read fills it. Under a flood it would come to take all that the kernel holds,
    up to 32 MB, at once: the loop stood still for a second, and the feed's record among the feeds was over.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_buffer(self, sizehint: int) -> memoryview:
        return cast("memoryview", self._protocol.get_buffer(sizehint)[:READ_BYTES])

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        return cast("bool | None", self._protocol.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


async def connect(url: str, on_text: Callable[[bytes], None], on_pong: Callable[[], None]) -> Socket:
    """Open a connection. Raises OSError (a refused handshake too) or TimeoutError."""
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            transport, socket = await ws_connect(
                lambda: Socket(on_text, on_pong),
                url,
                max_frame_size=MAX_FRAME_BYTES,
                read_buffer_init_size=READ_BUFFER_BYTES,
            )
    except WSError as error:
        raise ConnectionError(f"{url}: {error}") from None
    if not isinstance(socket, Socket):  # the peer has gone between the handshake's end and now
        raise ConnectionError(f"{url}: closed at the handshake")
    line = transport.underlying_transport
    line.set_protocol(Sips(line.get_protocol()))
    return socket
