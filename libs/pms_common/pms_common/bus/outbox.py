"""The one writer of a service: everything it tells others goes through here, in order, in as few writes as possible.

Adaptive batching: sent at once when the line is idle, gathered while a write is in flight. What is added in one
synchronous stretch (without an await) is executed by Redis as one MULTI, or not at all. A mark in each MULTI tells
after a lost connection whether the unanswered one was executed, so it is neither lost nor repeated.

Owns the connection it writes on, the mark, the bound on what is gathered. Drops nothing but what is of its moment
(`express`): where Redis refuses for good it stops the service (`failed`), where the cause passes it waits and tells
`ready`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pms_common.bus.dial import Backoff, Dial
from pms_common.bus.entry import Entry
from pms_common.bus.errors import BusError, OutboxError, OutboxFull, RespError, is_infrastructure
from pms_common.bus.resp import Connection, Replies, Word, pack
from pms_common.bus.write import REPEATABLE, Marks, Stretch, Write, xadd
from pms_common.logging import get_logger

log = get_logger(__name__)

MAX_WRITE = 500
"""Commands in one MULTI: at about 3 µs each Redis serves the others again after 1.5 ms."""
LATE_S = 0.02
MAX_LATE = 200
"""Acknowledgements and what is added as late wait this long, or until there are so many, for a write to go with: nobody
waits for them, and a write of their own would wake Redis and us for nothing, and hold up what comes while it is in
flight. A crash meanwhile only has their entries delivered again."""
MAX_COMMANDS = 20_000
MAX_BYTES = 32 * 1024 * 1024
EXPRESS = 4
"""Express entries that leave together: a write costs 10 µs, another entry in it 2."""
HARD_FACTOR = 8
"""A producer that adds this many times the bound ignores `full`; it is stopped."""

Savepoint = tuple[tuple[int, int, int], list[object]]
Ready = Callable[[str, bool, str], None]
"""Told (part, ok, why), like `Lifecycle.ready`."""


class Writer(Protocol):
    """Something with a state of its own that adds to the outbox; a rollback takes it back too."""

    def mark(self) -> object:
        """Its state now."""

    def back(self, mark: Any) -> None:
        """Return to that state."""


class Outbox:
    """The adaptive-batching writer. `add`, `set`, `publish`, `command` and `ack` never wait; `flush` does."""

    def __init__(
        self,
        dial: Dial,
        mark_key: str,
        *,
        ready: Ready,
        max_commands: int = MAX_COMMANDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._dial = dial
        self._ready = ready
        self._max_commands, self._max_bytes = max_commands, max_bytes
        self._marks = Marks(mark_key)
        self._line: Connection | None = None
        self._open = Stretch()
        self._scheduled = False
        self._late = Stretch()
        self._late_timer: asyncio.TimerHandle | None = None
        self._express: list[bytes] = []
        self._gathered: deque[Stretch] = deque()
        self._inflight: Write | None = None
        self._again: Write | None = None
        self._may_write: Callable[[], bool] = lambda: True
        self._commands = self._bytes = 0  # added and not yet answered
        self._ended = self._done = 0  # stretches
        self._flushes: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._room: list[asyncio.Future[None]] = []
        self._writers: list[Writer] = []
        self.on_room: list[Callable[[], None]] = []
        """Called when the outbox is no longer full."""
        self.failed: asyncio.Future[BusError] = self._loop.create_future()
        """Set when Redis refused something for good."""

    # -- adding

    def add(self, stream: str, data: bytes, *, maxlen: int | None = None, late: bool = False) -> None:
        """Append an entry with one field, `data`; a `late` one is waited for by nobody."""
        self._append(xadd(stream, data, maxlen), late=late)

    def express(self, stream: str, data: bytes) -> None:
        """Append an entry past all that is gathered, and past a write in flight. It belongs to no stretch.

        For what is of its moment, and is asked for anew where nothing comes of it: it is lost with the line, or without
        one, and never repeated.
        """
        self._express.append(xadd(stream, data, None))
        if len(self._express) >= EXPRESS:
            self._write_express()
        elif not self._scheduled:
            self._schedule()

    def tell(self, stream: str, update: bytes) -> None:
        """Append an update; those that leave in one write share entries, in their order."""
        self._open.tell(stream, update)
        if not self._scheduled:
            self._schedule()

    def set(self, key: str, value: bytes, ex_s: int | None = None) -> None:
        """Set a key, with its life in seconds."""
        self.command("SET", key, value, *(() if ex_s is None else ("EX", ex_s)))

    def publish(self, channel: str, payload: bytes) -> None:
        """Publish to a pub/sub channel."""
        self.command("PUBLISH", channel, payload)

    def command(self, *words: Word) -> None:
        """Any other command; nobody sees its reply, unless it is an error, which stops the service."""
        self._append(pack(words), repeatable=words[0] in REPEATABLE)

    def ack(self, entry: Entry) -> None:
        """Acknowledge an entry."""
        self._open.acks.append(entry)
        if not self._scheduled:
            self._schedule()

    def _append(self, packed: bytes, *, repeatable: bool = False, late: bool = False) -> None:
        self._open.add(packed, repeatable=repeatable, late=late)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        self._loop.call_soon(self.end_stretch)

    # -- stretches (for consumers)

    def begin_stretch(self) -> None:
        """End what others added and begin a stretch that the caller ends, sparing a turn of the event loop."""
        if self._open.count or self._open.acks:
            self.end_stretch()
        self._scheduled = True

    def let_go(self) -> None:
        """Have what was added leave now, where the line is idle: what follows in this turn need not hold it up.

        What is express leaves in any case.
        """
        self._write_express()
        if self._inflight is None and self._open.urgent:
            scheduled = self._scheduled
            self.end_stretch()
            self._scheduled = scheduled

    def end_stretch(self) -> None:
        """End the current stretch and send it, if the line is idle."""
        self._scheduled = False
        self._write_express()
        if self.failed.done():  # the service is stopping; the causes of what is not written come again to its successor
            self._open = Stretch()
            return
        stretch = self._open
        if stretch.acks:
            stretch.acks = [entry for entry in stretch.acks if entry.settled()]
        if stretch.count or stretch.acks:
            self._open = Stretch()
            self._late.absorb(stretch)
            if stretch.urgent or self._late.count + len(self._late.acks) >= MAX_LATE:
                self._gather_late()
            elif self._late_timer is None:
                self._late_timer = self._loop.call_later(LATE_S, self._send_late)
        self._write()

    def _gather(self, stretch: Stretch) -> None:
        self._commands += stretch.count
        self._bytes += stretch.size
        if self._bytes > HARD_FACTOR * self._max_bytes or self._commands > HARD_FACTOR * self._max_commands:
            self._fail(OutboxFull(f"{self._commands} commands ({self._bytes} bytes) are waiting for Redis"))
        self._ended += 1
        self._gathered.append(stretch)

    def _gather_late(self) -> None:
        if self._late_timer is not None:
            self._late_timer.cancel()
            self._late_timer = None
        late, self._late = self._late, Stretch()
        if late.count or late.acks:
            self._gather(late)

    def _send_late(self) -> None:
        if not self.failed.done():
            self._gather_late()
            self._write()

    def savepoint(self) -> Savepoint:
        """Where the current stretch is, for `rollback`."""
        stretch = self._open
        added = (len(stretch.commands), len(stretch.updates), len(stretch.acks))
        return added, [writer.mark() for writer in self._writers]

    def rollback(self, savepoint: Savepoint) -> None:
        """Forget what was added to the current stretch since `savepoint`."""
        (commands, updates, acks), marks = savepoint
        stretch = self._open
        stretch.size -= sum(map(len, stretch.commands[commands:]))
        stretch.size -= sum(len(update) for _, update in stretch.updates[updates:])
        del stretch.commands[commands:], stretch.updates[updates:], stretch.acks[acks:]
        for writer, mark in zip(self._writers, marks, strict=True):
            writer.back(mark)

    def register(self, writer: Writer) -> None:
        """Have `writer` taken back by rollbacks."""
        self._writers.append(writer)

    # -- waiting

    @property
    def full(self) -> bool:
        """Whether producers should wait (`room`) before adding more."""
        return self._commands >= self._max_commands or self._bytes >= self._max_bytes

    @property
    def pending(self) -> int:
        """Commands added that Redis has not answered."""
        return self._commands + self._late.count + self._open.count

    async def room(self) -> None:
        """Wait until the outbox is not full. Raises `OutboxError` if it has failed."""
        while self.full:
            await self._wait(self._room.append)

    async def flush(self, *, late: bool = True) -> None:
        """Wait until all that was added so far is in Redis, with or without what is late.

        Raises `OutboxError` if it has failed.
        """
        self.end_stretch()
        if late:
            self._send_late()
        target = self._ended
        if self._done < target or self.failed.done():
            await self._wait(lambda future: self._flushes.append((target, future)))

    async def _wait(self, register: Callable[[asyncio.Future[None]], object]) -> None:
        if self.failed.done():
            raise self.failed.result()
        future: asyncio.Future[None] = self._loop.create_future()
        register(future)
        await future

    # -- who may write

    def write_while(self, may_write: Callable[[], bool]) -> None:
        """Begin no write while `may_write` is false; `resume` when it is true again.

        A process that was stopped and goes on must not tell what its successor, which was handed the same entries, has
        decided otherwise.
        """
        self._may_write = may_write

    def resume(self) -> None:
        """Writes may begin again."""
        self._write()

    def forbid(self, why: str) -> None:
        """Never write again: what is held its causes bring to a successor."""
        self._fail(OutboxError(why))

    @property
    def may_write(self) -> bool:
        """Whether a write may begin now."""
        return not self.failed.done() and self._may_write()

    # -- writing

    def _write(self) -> None:
        line = self._line
        if line is None or self.failed.done() or not self._may_write():
            return
        if self._again is not None:
            write, self._again = self._again, None
            line.request(write.payload, write.replies, self._answered)
        if self._inflight is not None or not self._gathered:
            return
        stretches = [self._gathered.popleft()]
        commands = stretches[0].count
        while self._gathered and commands + self._gathered[0].count <= MAX_WRITE:
            stretches.append(self._gathered.popleft())
            commands += stretches[-1].count
        write = self._inflight = Write(stretches, *self._marks.next())
        line.request(write.payload, write.replies, self._answered)

    def _write_express(self) -> None:
        if not self._express:
            return
        express, self._express = self._express, []
        if self._line is not None and self.may_write:
            self._line.request(b"".join(express), len(express), self._express_answered)

    def _express_answered(self, replies: Replies | ConnectionError) -> None:
        if isinstance(replies, ConnectionError):
            return
        refusal = next((reply for reply in replies if isinstance(reply, RespError)), None)
        if refusal is not None and not refusal.transient:
            self._fail(OutboxError(f"Redis refused a write: {refusal}"))

    def _answered(self, replies: Replies | ConnectionError) -> None:
        write = self._inflight
        if write is None or isinstance(replies, ConnectionError):  # `run` connects anew and settles it
            return
        refusal = write.refusal(replies)
        if refusal is None:
            self._finish(write)
            self._write()
        elif refusal.transient and self._line is not None:
            self._line.abort(str(refusal))
        else:
            self._fail(OutboxError(f"Redis refused a write: {refusal}"))

    def _finish(self, write: Write) -> None:
        was_full = self.full
        self._inflight = None
        self._commands -= write.commands
        self._bytes -= write.size
        self._done += write.stretches
        for tracker, ids in write.acks.items():
            tracker.confirmed(ids)
        while self._flushes and self._flushes[0][0] <= self._done:
            _resolve(self._flushes.popleft()[1])
        if was_full and not self.full:
            waiting, self._room = self._room, []
            for future in waiting:
                _resolve(future)
            for callback in self.on_room:
                callback()

    def _fail(self, error: BusError) -> None:
        if self.failed.done():
            return
        log.error("outbox_failed", error=str(error))
        self._ready("outbox", False, str(error))
        self.failed.set_result(error)
        for future in (*self._room, *(future for _, future in self._flushes)):
            if not future.done():
                future.set_exception(error)

    # -- living

    async def run(self) -> None:
        """Keep a line to Redis until cancelled; raises when the outbox has failed."""
        writing = asyncio.ensure_future(self._keep_line())
        try:
            await asyncio.wait((writing, self.failed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            writing.cancel()
            if self._line is not None:
                self._line.abort("outbox closed")
        if self.failed.done():
            raise self.failed.result()
        writing.result()

    async def _keep_line(self) -> None:
        backoff = Backoff()
        while True:
            try:
                line = await self._connect()
            except (OSError, RespError) as error:
                if not is_infrastructure(error):
                    self._fail(OutboxError(f"Redis refuses us: {error}"))
                    return
                self._ready("outbox", False, str(error))
            else:
                self._ready("outbox", True, "")
                backoff.connected()
                loss = await line.lost
                self._line = None
                self._ready("outbox", False, str(loss))
                log.warning("outbox_disconnected", error=str(loss), waiting=self._commands)
            await backoff.wait()

    async def _connect(self) -> Connection:
        """Find out what became of an unanswered write, repeat it if nothing, and go on with what was gathered."""
        line = await self._dial()
        write = self._inflight
        if write is not None and write.mark:
            try:
                mark = await line.call("GET", self._marks.key)
            except BaseException:
                line.abort("the last write could not be settled")
                raise
            if mark == write.mark:
                self._finish(write)
                write = None
        self._line, self._again = line, write
        self._write()
        return line


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
