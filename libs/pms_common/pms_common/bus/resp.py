"""The thin path to Redis: RESP2 over one asyncio connection, with hiredis' parser and packer.

Owns bytes in and out, the order of replies, and the end of a connection. Never reconnects (the callers do, since only
they know what may be repeated) and never interprets a reply. Used by the outbox, the readers and the ticks.

Callbacks rather than futures on the hot path: a reply is handled inside `data_received`, which saves two turns of the
event loop a hop (about 15 µs of 100).
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from pms_common.bus.errors import RespError

Reply = Any
"""bytes, int, None, a list of replies, or a `RespError` in the place of a reply."""
Word = str | bytes | int
Replies = list[Reply]
Done = Callable[[Replies | ConnectionError], None]

CHECKS = 4
"""How often a connection is looked at within its reply time-out."""

_MORE = object()

# hiredis' stub knows tuples of one word only.
pack: Callable[[tuple[Word, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]


class Connection(asyncio.Protocol):
    """One connection. `request` is the hot path, `call` and `pipeline` are for everything else.

    `reply_timeout_s` ends a connection on which nothing comes although something is asked: a half-open one.
    It must be longer than any BLOCK.
    """

    def __init__(self, reply_timeout_s: float = 5.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader(replyError=RespError, notEnoughData=_MORE)
        self._waiting: deque[tuple[int, Done]] = deque()
        self._replies: Replies = []
        self._transport: asyncio.Transport | None = None
        self._timeout_s = reply_timeout_s
        self._received = self._received_before = 0
        self._silent_checks = 0
        self._watch: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[ConnectionError] = self._loop.create_future()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class inherits nothing
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._watch = self._loop.call_later(self._timeout_s / CHECKS, self._check_progress)

    def data_received(self, data: bytes) -> None:
        self._received += 1
        self._parser.feed(data)
        gets, replies = self._parser.gets, self._replies
        try:
            while (reply := gets()) is not _MORE:
                replies.append(reply)
                if not self._waiting:
                    self.abort("a reply nobody asked for")
                    return
                count, done = self._waiting[0]
                if len(replies) == count:
                    complete, self._replies = replies, []
                    replies = self._replies
                    self._waiting.popleft()
                    done(complete)
        except hiredis.ProtocolError as error:
            self.abort(f"not RESP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"connection lost: {exc}" if exc else "connection closed by the server")

    # -- for the bus

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self.lost.done()

    def request(self, payload: bytes, count: int, done: Done) -> None:
        """Write packed commands in one go; `done` gets their `count` replies, or the error that ended the connection.

        `done` must not raise: an exception in it would end the connection.
        """
        if self._transport is None or self.lost.done():
            error = self.lost.result() if self.lost.done() else ConnectionError("not connected")
            self._loop.call_soon(done, error)
            return
        self._waiting.append((count, done))
        self._transport.write(payload)

    async def pipeline(self, *commands: tuple[Word, ...]) -> Replies:
        """Send the commands together; their replies in order, error replies as `RespError` in their place."""
        future: asyncio.Future[Replies] = self._loop.create_future()

        def done(replies: Replies | ConnectionError) -> None:
            if future.done():  # the caller was cancelled
                return
            if isinstance(replies, ConnectionError):
                future.set_exception(replies)
            else:
                future.set_result(replies)

        self.request(b"".join(map(pack, commands)), len(commands), done)
        return await future

    async def call(self, *command: Word) -> Reply:
        """Send one command; its reply, or its error raised."""
        (reply,) = await self.pipeline(command)
        if isinstance(reply, RespError):
            raise reply
        return reply

    def abort(self, why: str) -> None:
        """End the connection now; what waits gets a `ConnectionError`."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    def _end(self, why: str) -> None:
        if self.lost.done():
            return
        error = ConnectionError(why)
        self.lost.set_result(error)
        if self._watch is not None:
            self._watch.cancel()
        waiting, self._waiting = self._waiting, deque()
        for _, done in waiting:
            done(error)

    def _check_progress(self) -> None:
        # Counting at a few points in time rather than noting the time of each reply: the hot path pays one addition.
        silent = bool(self._waiting) and self._received == self._received_before
        self._silent_checks = self._silent_checks + 1 if silent else 0
        self._received_before = self._received
        if self._silent_checks > CHECKS:
            self.abort(f"no reply for {self._timeout_s:g} s")
            return
        self._watch = self._loop.call_later(self._timeout_s / CHECKS, self._check_progress)
