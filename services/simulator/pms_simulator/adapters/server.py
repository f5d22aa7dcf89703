"""One port for REST and WebSockets: looks at a connection's first request and hands it to aiohttp or picows.

Owns the hand-over only. picows serves WebSockets several times cheaper than aiohttp; aiohttp serves REST with all
of HTTP/1.1. uvloop gathers what is written to a socket in one turn of the loop into one system call.
"""

import asyncio
import logging
from functools import partial
from typing import cast

from aiohttp import web
from picows import WSAutoPingStrategy
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stub

from pms_simulator.adapters.rest import RestServer
from pms_simulator.adapters.sockets import Sockets
from pms_simulator.domain.faults.base import Target

UPGRADE = b"\nupgrade: websocket"
MAX_HEAD = 64 * 1024
MAX_FRAME = 1024 * 1024
SERVER_PING_S = 180  # the venue pings every three minutes
PONG_WITHIN_S = 180  # it waits ten minutes for an answer; the library not longer than its ping interval

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """Reads request heads: a WebSocket handshake gives the transport to picows, all else is passed to aiohttp.

    The handshake may also come on a kept-alive REST connection: clients that pool connections by host do that,
    since REST and WebSockets share one here.
    """

    def __init__(self, rest: web.Server, sockets: Sockets) -> None:
        self._rest = rest
        self._sockets = sockets
        self._head = b""
        self._http: web.RequestHandler | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Collect the first head, then hand over; look at the start of every further request."""
        if self._http is not None:
            if data.startswith(b"GET ") and UPGRADE in data.lower():
                self._http.connection_lost(None)
                self._to_websocket(data)
            else:
                self._http.data_received(data)
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MAX_HEAD:
                self._transport.abort()
            return
        if UPGRADE in self._head[:end].lower():
            self._to_websocket(self._head)
            return
        self._http = self._rest()
        self._http.connection_made(self._transport)
        self._http.data_received(self._head)
        self._head = b""

    def eof_received(self) -> None:
        """Tell aiohttp."""
        if self._http is not None:
            self._http.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell aiohttp."""
        if self._http is not None:
            self._http.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell aiohttp."""
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        """Tell aiohttp."""
        if self._http is not None:
            self._http.resume_writing()

    def _to_websocket(self, first: bytes) -> None:
        peer = self._transport.get_extra_info("peername")
        protocol = WSProtocol(
            None,
            None,
            False,
            partial(self._sockets.accept, ip=str(peer[0]) if peer else ""),
            log,
            True,
            5.0,
            True,
            SERVER_PING_S,
            PONG_WITHIN_S,
            WSAutoPingStrategy.PING_PERIODICALLY,
            True,
            MAX_FRAME,
            None,
            16 * 1024,
        )
        # Reading is restarted so that uvloop takes the buffer of the new protocol.
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        head = memoryview(first)
        while head:
            buffer = memoryview(protocol.get_buffer(len(head)))
            size = min(len(buffer), len(head))
            buffer[:size] = head[:size]
            protocol.buffer_updated(size)
            head = head[size:]
        if not self._transport.is_closing():
            self._transport.resume_reading()


class Server:
    """The listening port."""

    def __init__(self, server: asyncio.Server, rest: web.Server, sockets: Sockets) -> None:
        self._server = server
        self._rest = rest
        self._sockets = sockets
        self.port: int = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        self._server.close()
        self._sockets.close(Target("all", None, "all"))
        await self._rest.shutdown(0.1)


async def listen(host: str, port: int, rest: RestServer, sockets: Sockets) -> Server:
    """Open the port (0: a free one)."""
    http = web.Server(rest.handle, handler_cancellation=True, access_log=None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(http, sockets), host, port)
    return Server(server, http, sockets)
