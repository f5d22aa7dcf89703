"""One blocking group read: at most 20 streams on a connection of its own.

Owns the connection, the recovery after each connect (incarnation, groups, own pending entries first, in id order) and
the hot loop, which runs inside the connection's callback. Used by the consumer.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from pms_common.bus.cursors import ensure_group
from pms_common.bus.dial import Backoff, Dial
from pms_common.bus.entry import PACK, SEPARATOR, Entry, Tracker
from pms_common.bus.errors import RespError, is_infrastructure
from pms_common.bus.handling import Handling
from pms_common.bus.ids import ZERO, IdKey, id_key, id_ms
from pms_common.bus.incarnation import Incarnation
from pms_common.bus.outbox import Outbox
from pms_common.bus.resp import Connection, Replies, Reply, pack
from pms_common.logging import get_logger
from pms_common.metrics import histogram

log = get_logger(__name__)

COUNT = 100
"""Entries of one stream a read: 1,000 is no faster (measured), and a batch is one MULTI. Where entries carry many
updates it is fewer, so that a read brings about as many of those, and what else the service reads has its turn.
"""
BLOCK_MS = 750
"""A read takes entries until it ends, also for a process that was stopped meanwhile: it has to end before the belief in
the lease does (1.45 s, renewed every 0.3 s), from when on they are its successor's."""
PAUSE_S = 0.02
"""What nobody waits for gathers this long, unless it comes faster than one read takes it: every stream that tells of an
order has three readers, and those that need not know at once would wake beside the one that must.
"""

MEASURED = 8
"""One read of so many is measured: it costs 2 µs, a hop about a hundred."""

_delay = histogram(
    "stream_delay_seconds", "From the writing of an entry to its handling: the oldest of every eighth read", ["stream"]
)


class Flow(Protocol):
    """What a reader asks of its consumer."""

    group: str
    role: str
    stopping: bool
    failed: bool

    def may_read(self, coming: int = 0) -> bool:
        """Whether there is room for more entries beside `coming` ones."""

    async def room(self) -> None:
        """Wait until there is."""

    def calm(self) -> bool:
        """Whether nobody waits for what is read."""

    def opened(self, count: int) -> None:
        """So many entries are handed out."""

    def handed_out(self) -> None:
        """All of a read is handed out, and the next is not asked for yet."""

    def fail(self, error: Exception) -> None:
        """A handler's error that stops the service."""

    def reader_ready(self, reader: "Reader", why: str) -> None:
        """Why this reader does not read; empty where it does."""


class Reader:
    """Reads some streams of one group and hands their entries out."""

    def __init__(
        self,
        flow: Flow,
        dial: Dial,
        trackers: Sequence[Tracker],
        *,
        handling: Handling,
        outbox: Outbox,
        incarnation: Incarnation,
        count: int = COUNT,
    ) -> None:
        self._flow = flow
        self._dial = dial
        self._trackers = {tracker.stream.encode(): tracker for tracker in trackers}
        self._handling = handling
        self._outbox = outbox
        self._incarnation = incarnation
        self._count = self._most = count
        self._reads: dict[int, bytes] = {}
        self._delays = {stream: _delay.labels(stream.decode()) for stream in self._trackers}
        self._read_count = 0
        self._connection: Connection | None = None
        self._reading = False
        self._pause: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[Exception | None] | None = None
        self.client_id: int | None = None
        """While a read is in flight: for CLIENT UNBLOCK."""

    # -- life

    async def run(self) -> None:
        """Read until stopped, connecting anew as often as it takes. Raises where Redis refuses for good."""
        backoff = Backoff()
        while not (self._flow.stopping or self._flow.failed):
            try:
                connection = await self._dial()
                backoff.connected()
                try:
                    await self._recover(connection)
                    why = await self._read_until_ended(connection)
                finally:
                    connection.abort("reader closed")
            except (OSError, RespError) as error:
                why = error
            if why is None:
                return
            if not is_infrastructure(why) and not _no_group(why):
                raise why
            self._flow.reader_ready(self, str(why))
            log.warning("reader_interrupted", group=self._flow.group, error=str(why))
            await backoff.wait()

    @property
    def serving(self) -> bool:
        """Whether it is in its hot loop, where `stop` ends it without cutting a batch."""
        return self._ended is not None

    def stop(self) -> None:
        """The consumer is stopping: end now if no read is in flight; else its reply ends it."""
        if not self._reading:
            self._end(None)

    def resume(self) -> None:
        """There is room again, or somebody waits for what a pause lets gather."""
        if self._ended is not None and not self._reading:
            self._go_on()

    # -- recovery

    async def _recover(self, connection: Connection) -> None:
        await self._incarnation.check(connection)
        for tracker in self._trackers.values():
            await ensure_group(connection, tracker)
        pending: list[tuple[IdKey, Tracker, Reply]] = []
        for tracker in self._trackers.values():
            for entry in await self._pending(connection, tracker):
                pending.append((id_key(entry[0].decode()), tracker, entry))
        pending.sort(key=lambda item: item[0])
        for _, tracker, entry in pending:
            await self._flow.room()
            if self._flow.failed or self._flow.stopping:
                return
            self._hand_out([(tracker.stream.encode(), [entry])], pending=True)

    async def _pending(self, connection: Connection, tracker: Tracker) -> list[Reply]:
        """The group's own pending entries of one stream that were not handed out. Bounded by `max_unacked`."""
        remembered = tracker.remembered()
        found: list[Reply] = []
        after: str | bytes = ZERO
        words = ("GROUP", self._flow.group, self._flow.role, "COUNT", self._most, "STREAMS", tracker.stream)
        while True:
            ((_, entries),) = await connection.call("XREADGROUP", *words, after)
            if not entries:
                return found
            after = entries[-1][0]
            for entry in entries:
                if not self._known(tracker, entry[0].decode(), remembered):
                    found.append(entry)

    def _known(self, tracker: Tracker, entry_id: str, remembered: set[str]) -> bool:
        """Whether the entry was handed out before; if it is done and Redis forgot, acknowledges it again."""
        if entry_id not in remembered:
            return False
        if not tracker.in_process(entry_id):
            self._outbox.ack(Entry(tracker, entry_id, b"", {}))
        return True

    # -- hot loop

    async def _read_until_ended(self, connection: Connection) -> Exception | None:
        self.client_id = await connection.call("CLIENT", "ID")
        self._connection = connection
        self._ended = asyncio.get_running_loop().create_future()
        self._flow.reader_ready(self, "")
        self._go_on()
        try:
            return await self._ended
        finally:
            self._end_pause()
            self._ended = self._connection = self.client_id = None
            self._reading = False

    def _go_on(self) -> None:
        self._end_pause()
        if self._flow.stopping or self._flow.failed:
            self._end(None)
        elif self._flow.may_read():
            self._read()

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _read(self) -> None:
        assert self._connection is not None
        self._reading = True
        read = self._reads.get(self._count)
        if read is None:
            read = self._reads[self._count] = self._read_new(self._count)
        self._connection.request(read, 1, self._answered)

    def _read_new(self, count: int) -> bytes:
        streams = list(self._trackers)
        words = ("GROUP", self._flow.group, self._flow.role, "COUNT", count, "BLOCK", BLOCK_MS, "STREAMS")
        return pack(("XREADGROUP", *words, *streams, *(">" for _ in streams)))

    def _answered(self, replies: Replies | ConnectionError) -> None:
        if self._ended is None or self._ended.done():
            return
        self._reading = False
        if self._flow.failed:  # what comes after a failure stays pending
            self._end(None)
            return
        if isinstance(replies, ConnectionError):
            self._end(replies)
            return
        reply = replies[0]
        if isinstance(reply, RespError):
            self._end(reply)
            return
        if reply is not None:
            self._read_count += 1
            if not self._read_count % MEASURED:
                self._measure(reply)
            coming = 0
            for _, entries in reply:
                coming += len(entries)
            if coming >= self._count and not self._flow.stopping and self._flow.may_read(coming):
                self._read()  # a backlog: Redis prepares the next batch while this one is handled
            self._hand_out(reply)
        if self._reading:
            return
        if reply is not None and self._flow.calm():
            self._pause = asyncio.get_running_loop().call_later(PAUSE_S, self._go_on)
        else:
            self._go_on()

    def _measure(self, reply: Reply) -> None:
        for stream, entries in reply:
            self._delays[stream].observe(max(0.0, time.time() - id_ms(entries[0][0].decode()) / 1000))

    def _end(self, why: Exception | None) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(why)

    # -- handing out

    def _hand_out(self, batches: Reply, pending: bool = False) -> None:
        self._outbox.begin_stretch()
        read = handed = 0
        try:
            for stream, entries in batches:
                tracker = self._trackers[stream]
                again = pending or not self._fresh(tracker, entries[0][0])
                parts = (
                    self._hand_out_again(tracker, entries, pending) if again else self._hand_out_new(tracker, entries)
                )
                read, handed = read + len(entries), handed + parts
            self._flow.handed_out()
        except Exception as error:  # noqa: BLE001 (reported: the consumer's `run` raises it)
            self._flow.fail(error)
        finally:
            self._outbox.end_stretch()
        if handed and not pending:
            self._count = max(1, self._most * read // handed)

    def _fresh(self, tracker: Tracker, first: bytes) -> bool:
        """Whether a batch beginning with this id was certainly never delivered and is of this incarnation."""
        key = id_key(first.decode())
        return key[0] >= self._incarnation.suspect_before_ms and key > tracker.known_until

    def _hand_out_new(self, tracker: Tracker, entries: Reply) -> int:
        """Hand out entries that were never delivered; in how many parts.

        What comes of one entry leaves together: were it let go part by part, the first part's outputs would hold up
        those of the others for as long as Redis takes to answer.
        """
        handle = self._handling.handle
        opened = [self._opened(tracker, raw_id.decode(), raw) for raw_id, raw in entries]
        for parts in opened:
            for part in parts:
                handle(part)
            self._outbox.let_go()
        return sum(map(len, opened))

    def _opened(
        self, tracker: Tracker, entry_id: str, raw: list[bytes], redelivered: bool = False, suspect: bool = False
    ) -> list[Entry]:
        entries = _parts(tracker, entry_id, raw, redelivered, suspect)
        tracker.opened(entry_id, len(entries))
        self._flow.opened(len(entries))
        return entries

    def _hand_out_again(self, tracker: Tracker, entries: Reply, pending: bool) -> int:
        parts = 0
        remembered = set() if pending else tracker.remembered()
        for raw_id, raw in entries:
            entry_id = raw_id.decode()
            if self._known(tracker, entry_id, remembered):
                continue
            redelivered = pending or id_key(entry_id) <= tracker.replayed_until
            suspect = redelivered or id_ms(entry_id) < self._incarnation.suspect_before_ms
            for entry in self._opened(tracker, entry_id, raw or [], redelivered, suspect):
                parts += 1
                if raw is None:
                    self._handling.bury(entry, "deleted from the stream before it was handled", 0)
                else:
                    self._handling.handle(entry)
        return parts


def _parts(tracker: Tracker, entry_id: str, raw: list[bytes], redelivered: bool, suspect: bool) -> list[Entry]:
    """The entry as its handler sees it: once, or once for each update it carries."""
    if len(raw) == 2:
        field, data = raw
        if field == b"data":
            return [Entry(tracker, entry_id, data, {}, redelivered, suspect)]
        if field == PACK:
            updates = data.split(SEPARATOR)
            unsettled = set(range(len(updates)))
            return [
                Entry(tracker, entry_id, update, {}, redelivered, suspect, part, unsettled)
                for part, update in enumerate(updates)
            ]
    # Bytes that are no UTF-8 are shown replaced; the handler's validation then names the field.
    fields = dict(zip(raw[::2], raw[1::2], strict=True))
    data = fields.pop(b"data", b"")
    shown = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()}
    return [Entry(tracker, entry_id, data, shown, redelivered, suspect)]


def _no_group(error: Exception) -> bool:
    return isinstance(error, RespError) and error.code == "NOGROUP"
