"""A consumer: one group's streams, their handlers, and the bound on what is unacknowledged.

Owns the trackers, the readers and the saving of cursors. The consumer's name is its role, so a successor owns its
pending entries. Used by every service through `Bus.consumer`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Set
from typing import Protocol

from pms_common.bus.cursors import CursorStore
from pms_common.bus.dial import Dial
from pms_common.bus.entry import Tracker
from pms_common.bus.handling import Handler, Handling, OnDead
from pms_common.bus.ids import ZERO
from pms_common.bus.incarnation import Incarnation
from pms_common.bus.outbox import Outbox, Ready
from pms_common.bus.reader import Reader
from pms_common.logging import get_logger

log = get_logger(__name__)

MAX_STREAMS = 20
"""Streams in one blocking read; with 100 an empty read costs Redis ten times as much."""
MAX_UNACKED = 10_000
SAVE_CURSORS_S = 1.0
LOAD_AGAIN_S = 0.5
UNBLOCK_EVERY_S = 0.05


class Room(Protocol):
    """Where what is read leads to, and which can have too much of it: a journal."""

    on_room: list[Callable[[], None]]
    """Called when it has room again."""

    def has_room(self) -> bool:
        """Whether more may be read."""


Unblock = Callable[[int], Awaitable[object]]


class Consumer:
    """Reads streams as one member of one group and calls their handlers, which must not block or await.

    Per stream, own pending entries come first, in id order, then new ones. Streams of one read keep no order among
    each other.
    """

    def __init__(
        self,
        group: str,
        handlers: Mapping[str, Handler],
        *,
        role: str,
        dial: Dial,
        outbox: Outbox,
        incarnation: Incarnation,
        unblock: Unblock,
        ready: Ready,
        dead_stream: str,
        public: Set[str] = frozenset(),
        on_dead: OnDead | None = None,
        cursors: CursorStore | None = None,
        max_unacked: int = MAX_UNACKED,
        part: str = "",
        may_begin: Callable[[], bool] = lambda: True,
        room: Room | None = None,
        calm: Callable[[], bool] = lambda: False,
        handed_out: Callable[[], None],
    ) -> None:
        self.group = group
        self.calm = calm
        self.handed_out = handed_out
        self._may_begin, self._leads_to = may_begin, room
        self._part = f"consumer:{part or group}"
        self.role = role
        self.stopping = False
        self.failed = False
        self._dial, self._outbox, self._incarnation = dial, outbox, incarnation
        self._unblock, self._ready = unblock, ready
        self._cursors = cursors
        self._saved: dict[str, str] = {}
        self._max_unacked = max_unacked
        self._unacked = 0
        self._waiting = False
        self._room = asyncio.Event()
        self._failure: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._handling = Handling(
            outbox, handlers, public=public, dead_stream=dead_stream, on_dead=on_dead, fail=self.fail
        )
        self.trackers = {stream: Tracker(stream, group, ZERO, self._confirmed) for stream in handlers}
        self._readers = self._make_readers()
        self._not_reading = dict.fromkeys(self._readers, "starting")
        self._tasks: dict[Reader, asyncio.Task[None]] = {}
        for on_room in (outbox.on_room, *([room.on_room] if room is not None else [])):
            on_room.append(self._resume)

    @property
    def unacked(self) -> int:
        """Entries handed out and not yet acknowledged in Redis."""
        return self._unacked

    async def run(self) -> None:
        """Read and handle until `stop`. Raises a handler's error, or that Redis refuses us for good."""
        await self._load_cursors()
        self._tasks = {reader: asyncio.create_task(reader.run()) for reader in self._readers}
        saving = asyncio.create_task(self._save_cursors())
        try:
            await self._until_ended(saving)
        finally:
            self._handling.stop()
            tasks = [saving, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._save()

    def hurry(self) -> None:
        """Somebody waits: end the pauses."""
        for reader in self._readers:
            reader.resume()

    async def stop(self) -> None:
        """Stop reading, finish the batch, and wait until its outputs are in Redis. Loses and repeats no effect."""
        self.stopping = True
        self._handling.stop()
        for reader, task in self._tasks.items():
            if reader.serving:
                reader.stop()
            else:  # connecting or recovering: no batch to finish
                task.cancel()
        while running := [(r, t) for r, t in self._tasks.items() if not t.done()]:
            for reader, _ in running:
                if reader.client_id is not None:
                    await self._end_blocking(reader.client_id)
            await asyncio.wait([task for _, task in running], timeout=UNBLOCK_EVERY_S)
        await self._outbox.flush()

    # -- for readers

    def may_read(self, coming: int = 0) -> bool:
        """Whether there is room for more entries beside `coming` ones, wherever they lead, and we may have them."""
        here = self._unacked + coming < self._max_unacked and not self._outbox.full
        if here and self._may_begin() and (self._leads_to is None or self._leads_to.has_room()):
            return True
        self._waiting = True
        self._room.clear()
        return False

    async def room(self) -> None:
        """Wait until `may_read`."""
        while not self.may_read():
            await self._room.wait()

    def opened(self, count: int) -> None:
        """So many entries are handed out."""
        self._unacked += count

    def fail(self, error: Exception) -> None:
        """Have `run` raise this, and nothing more be handled."""
        self.failed = True
        if not self._failure.done():
            self._failure.set_result(error)

    def reader_ready(self, reader: Reader, why: str) -> None:
        """Whether this reader reads (`why` is empty); the consumer is ready when all do."""
        self._not_reading[reader] = why
        whys = [text for text in self._not_reading.values() if text]
        self._ready(self._part, not whys, "; ".join(whys))

    # -- inside

    def _make_readers(self) -> list[Reader]:
        trackers = list(self.trackers.values())
        chunks = [trackers[i : i + MAX_STREAMS] for i in range(0, len(trackers), MAX_STREAMS)]
        return [
            Reader(
                self,
                self._dial,
                chunk,
                handling=self._handling,
                outbox=self._outbox,
                incarnation=self._incarnation,
            )
            for chunk in chunks
        ]

    async def _until_ended(self, saving: asyncio.Task[None]) -> None:
        waiting: set[asyncio.Future[object]] = {*self._tasks.values(), saving, self._failure, self._outbox.failed}  # type: ignore[arg-type]
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                raise self._failure.result()
            if self._outbox.failed.done():
                raise self._outbox.failed.result()
            for task in done:
                if not task.cancelled():
                    task.result()
            if all(task.done() for task in self._tasks.values()):
                return

    def _confirmed(self, count: int) -> None:
        self._unacked -= count
        if self._waiting:
            self._resume()

    def _resume(self) -> None:
        if self._waiting and self.may_read():
            self._waiting = False
            self._room.set()
            for reader in self._readers:
                reader.resume()

    async def _end_blocking(self, client_id: int) -> None:
        try:
            await self._unblock(client_id)
        except Exception as error:  # noqa: BLE001 (forbidden or disconnected: BLOCK's own end, or the loss, ends the read)
            log.info("unblock_failed", error=str(error))

    # -- cursors

    async def _load_cursors(self) -> None:
        while self._cursors is not None:
            try:
                self._saved = dict(await self._cursors.load(self.group))
                break
            except Exception as error:  # noqa: BLE001 (whatever keeps them is away: a lost group needs them to go on)
                log.warning("cursors_not_loaded", group=self.group, error=str(error))
                self._ready(self._part, False, f"the cursors cannot be read: {error}")
                await asyncio.sleep(LOAD_AGAIN_S)
        for stream, tracker in self.trackers.items():
            tracker.cursor = self._saved.get(stream, ZERO)

    async def _save_cursors(self) -> None:
        while True:
            await asyncio.sleep(SAVE_CURSORS_S)
            await self._save()

    async def _save(self) -> None:
        if self._cursors is None:
            return
        moved = {s: t.cursor for s, t in self.trackers.items() if t.cursor != self._saved.get(s, ZERO)}
        if not moved:
            return
        try:
            await self._cursors.save(self.group, moved)
        except Exception as error:  # noqa: BLE001 (a cursor that is not saved only means entries handed out again)
            log.warning("cursors_not_saved", group=self.group, error=str(error))
            return
        self._saved.update(moved)
