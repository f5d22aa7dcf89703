"""What every WebSocket of the venue has: a route, a place in the registry, cheap text frames, and how it fails."""

import asyncio
import itertools
from typing import Any

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

TEXT = WSMsgType.TEXT
MAX_BEHIND = 64 * 1024 * 1024  # bytes a client may leave unread; benchmarks burst tens of thousands of events
_encode = msgspec.json.Encoder().encode
_serials = itertools.count()


class Socket(WSListener):
    """A connected WebSocket."""

    route = ""

    def __init__(self, registry: "set[Socket]") -> None:
        self._registry = registry
        self._transport: WSTransport | None = None
        self._slow = False
        self._silent = False
        self._frames: list[bytes] = []
        self.serial = next(_serials)
        self.life_s = 0.0
        self._end: asyncio.TimerHandle | None = None

    @property
    def accounts(self) -> frozenset[str]:
        """Names of the accounts it serves."""
        return frozenset()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Register."""
        self._transport = transport
        self._registry.add(self)
        if self.life_s:
            self._end = asyncio.get_running_loop().call_later(self.life_s, self.drop, WSCloseCode.GOING_AWAY)
        self.opened()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget."""
        self._registry.discard(self)
        if self._end is not None:
            self._end.cancel()
        self._transport = None
        self._frames.clear()
        self.closed()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Text goes to ``received``; pings are answered by the library."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type == TEXT and not self._silent:
            self.received(frame.get_payload_as_bytes())

    def opened(self) -> None:
        """The handshake is done."""

    def closed(self) -> None:
        """The connection is gone."""

    def received(self, payload: bytes) -> None:
        """A text frame."""

    def pause_writing(self) -> None:
        """The client reads slower than it is sent to."""
        self._slow = True

    def resume_writing(self) -> None:
        """It caught up."""
        self._slow = False

    def send_text(self, payload: bytes) -> None:
        """Write one text frame; nothing once the connection is gone. Those of one turn leave in one system call."""
        if self._transport is None or self._silent:
            return
        if not self._frames:
            asyncio.get_running_loop().call_soon(self._flush)
        self._frames.append(_head(len(payload)) + payload)

    def send_json(self, body: Any) -> None:
        """Write one JSON text frame."""
        self.send_text(_encode(body))

    def silence(self, *, pongs: bool) -> None:
        """Stay open, but neither read nor send; without ``pongs`` pings stay unanswered too."""
        self._flush()
        self._silent = True
        if not pongs and self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def speak(self) -> None:
        """Go on after ``silence``."""
        self._silent = False
        if self._transport is not None and not self._transport.underlying_transport.is_reading():
            self._transport.underlying_transport.resume_reading()

    def _flush(self) -> None:
        """Write what was gathered. A client far behind is dropped."""
        if self._transport is None:
            return
        if self._slow and self._transport.underlying_transport.get_write_buffer_size() > MAX_BEHIND:
            self._frames.clear()
            self.drop(WSCloseCode.POLICY_VIOLATION)
            return
        self._write()

    def _write(self) -> None:
        if self._transport is not None and self._frames:
            frames, self._frames = self._frames, []
            self._transport.underlying_transport.write(b"".join(frames))

    def drop(self, code: WSCloseCode) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._write()
            self._transport.send_close(code)
            self._transport.disconnect(graceful=False)

    @property
    def remote(self) -> str:
        """The client's address."""
        if self._transport is None:
            return ""
        peer = self._transport.underlying_transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""


def _head(size: int) -> bytes:
    """The head of a whole text frame from the server (RFC 6455, section 5.2)."""
    if size < 126:
        return b"\x81%c" % size
    return b"\x81\x7e" + size.to_bytes(2) if size < 65_536 else b"\x81\x7f" + size.to_bytes(8)
