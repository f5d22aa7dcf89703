"""The bus of one process: its connections to Redis and what is made of them.

Owns the outbox, the redis-py client for what is not hot, and the incarnation. Used by the `main.py` of every service.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Set
from functools import partial

import redis.asyncio

from pms_common.bus import url as urls
from pms_common.bus.consumer import MAX_UNACKED, Consumer, Room
from pms_common.bus.cursors import CursorStore
from pms_common.bus.dial import close_client, dial, library_client
from pms_common.bus.handling import Handler, OnDead
from pms_common.bus.incarnation import Incarnation
from pms_common.bus.outbox import Outbox, Ready
from pms_common.bus.ticks import Missed, Take, TicksHandler, TicksReader, TicksWriter
from pms_common.metrics import gauge
from pms_common.names import Names

_waiting = gauge("outbox_commands", "Commands that Redis has not answered", ["role"])


def _nobody(_part: str, _ok: bool, _why: str) -> None:
    """For processes without readiness."""


def _always() -> bool:
    """For processes without a lease."""
    return True


def _no_one() -> None:
    """For readers that no price which has passed concerns."""


def _nothing() -> None:
    """For consumers whose outputs are all in the outbox."""


def _never() -> bool:
    """For consumers that somebody always waits for."""
    return False


class Bus:
    """Made by `Bus.connect`; `run` lives as long as the service, `close` writes what is left and ends."""

    def __init__(self, endpoint: urls.Endpoint, role: str, names: Names, ready: Ready) -> None:
        self.names = names
        self.role = role
        self.endpoint = endpoint
        self._ready = ready
        self._dial = partial(dial, endpoint, f"{names.namespace}-{role}")
        self.incarnation = Incarnation()
        self.redis: redis.asyncio.Redis = library_client(endpoint)
        self.outbox = Outbox(self._dial, names.own(role, "outbox"), ready=ready)
        _waiting.labels(role).set_function(lambda: self.outbox.pending)
        self._writing: asyncio.Task[None] | None = None
        self._may_read: Callable[[], bool] = _always

    @classmethod
    async def connect(cls, url: str, role: str, names: Names, ready: Ready = _nobody) -> "Bus":
        """Begin to connect, without waiting for it: a Redis that is down makes the service not ready, not dead.

        Only one process at a time is to write under a role and these names: see `read_while`.
        Raises `UrlError` for a URL that cannot be used.
        """
        bus = cls(urls.parse(url), role, names, ready)
        bus._writing = asyncio.create_task(bus.outbox.run(), name="outbox")
        return bus

    async def run(self) -> None:
        """Wait; raises when Redis refuses what is written, for good."""
        assert self._writing is not None
        await asyncio.shield(self._writing)

    def read_while(self, may_read: Callable[[], bool]) -> None:
        """Have consumers made from now on begin no read while `may_read` is false; `resume` when it is true again.

        A process that was stopped and goes on must not take entries that its successor is to have.
        """
        self._may_read = may_read

    def write_while(self, may_write: Callable[[], bool]) -> None:
        """Have the outbox begin no write while `may_write` is false; `resume` when it is true again."""
        self.outbox.write_while(may_write)

    def resume(self) -> None:
        """Consumers may read again, and the outbox write."""
        self.outbox.resume()
        for callback in self.outbox.on_room:
            callback()

    def consumer(
        self,
        group: str,
        handlers: Mapping[str, Handler],
        *,
        cursors: CursorStore | None = None,
        public: Set[str] = frozenset(),
        dead: OnDead | None = None,
        max_unacked: int = MAX_UNACKED,
        part: str = "",
        room: Room | None = None,
        calm: Callable[[], bool] = _never,
        handed_out: Callable[[], None] = _nothing,
    ) -> Consumer:
        """A consumer of `handlers`' streams. `public` are those with limited tries; `dead` answers what is given up.

        Streams that must not shut each other out by `max_unacked` take a consumer each, told apart in the service's
        readiness by `part`. While `room` has none nothing more is read. While `calm` says that nobody waits for
        what is read, it gathers for a moment first; `Consumer.hurry` ends that.
        `handed_out` is called before the next read is asked for, so that what came of the last one leaves first.
        """
        return Consumer(
            group,
            handlers,
            role=self.role,
            dial=self._dial,
            outbox=self.outbox,
            incarnation=self.incarnation,
            unblock=self.redis.client_unblock,
            ready=self._ready,
            dead_stream=self.names.dead,
            public=public,
            on_dead=dead,
            cursors=cursors,
            max_unacked=max_unacked,
            part=part,
            may_begin=self._may_read,
            room=room,
            calm=calm,
            handed_out=handed_out,
        )

    def ticks_writer(self, stream: str, take: Take) -> TicksWriter:
        """A writer of newest-only ticks; spawn its `run`."""
        return TicksWriter(self._dial, stream, take, self._ready)

    def ticks_reader(
        self,
        stream: str,
        group: str,
        handler: TicksHandler,
        calm: Callable[[], bool] = _never,
        missed: Missed = _no_one,
    ) -> TicksReader:
        """A reader of newest-only ticks as a group of this process; spawn its `run`.

        Cells that share a feed have each a group of their own. While `calm` says that nobody waits for ticks, they
        gather for a moment before they are read. `missed` gives who wants what the stream still holds
        when it begins, and what is skipped.
        """
        shared = self.names.feed != self.names.namespace
        return TicksReader(
            self._dial,
            stream,
            f"{self.names.namespace}:{group}" if shared else group,
            handler,
            outbox=self.outbox,
            dead_stream=self.names.dead,
            ready=self._ready,
            calm=calm,
            missed=missed,
        )

    async def close(self) -> None:
        """Write what was added, as far as we may, and end. Stop the consumers first."""
        assert self._writing is not None
        try:
            if self.outbox.may_write:
                await self.outbox.flush()
        finally:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # `run` has told a failure
                await self._writing
            await close_client(self.redis)
