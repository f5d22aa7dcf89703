"""The bus of one process: its connections to Redis and what is made of them.

Owns the outbox, the redis-py client for what is not hot, and the incarnation; where cells share a feed, also an outbox
and a client for its names, which in a Redis Cluster are on another node. Used by the `main.py` of every service.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial

import redis.asyncio

from pms_common.bus import url as urls
from pms_common.bus.consumer import MAX_UNACKED, Consumer, Room
from pms_common.bus.cursors import CursorStore
from pms_common.bus.dial import Dial, close_client, dial, library_client
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

    def __init__(self, url: str, role: str, names: Names, ready: Ready) -> None:
        self.names = names
        self.role = role
        self._ready = ready
        self._dial, self.redis, self.outbox = _lines(url, role, names, ready)
        self._feed_dial, self.feed_redis, self.feed_outbox = self._dial, self.redis, self.outbox
        if names.feed != names.namespace:
            feed = partial(_of_the_feed, ready)
            self._feed_dial, self.feed_redis, self.feed_outbox = _lines(url, role, Names(names.feed), feed)
        self.incarnation = Incarnation()
        _waiting.labels(role).set_function(lambda: sum(outbox.pending for outbox in self._outboxes))
        self._writing: list[asyncio.Task[None]] = []
        self._may_read: Callable[[], bool] = _always

    @property
    def _outboxes(self) -> Iterable[Outbox]:
        return dict.fromkeys((self.outbox, self.feed_outbox))

    @classmethod
    async def connect(cls, url: str, role: str, names: Names, ready: Ready = _nobody) -> "Bus":
        """Begin to connect, without waiting for it: a Redis that is down makes the service not ready, not dead.

        Only one process at a time is to write under a role and these names: see `read_while`.
        Raises `UrlError` for a URL that cannot be used.
        """
        bus = cls(url, role, names, ready)
        bus._writing = [asyncio.create_task(outbox.run(), name="outbox") for outbox in bus._outboxes]
        return bus

    async def run(self) -> None:
        """Wait; raises when Redis refuses what is written, for good."""
        await asyncio.gather(*map(asyncio.shield, self._writing))

    def read_while(self, may_read: Callable[[], bool]) -> None:
        """Have consumers made from now on begin no read while `may_read` is false; `resume` when it is true again.

        A process that was stopped and goes on must not take entries that its successor is to have.
        """
        self._may_read = may_read

    def write_while(self, may_write: Callable[[], bool]) -> None:
        """Have the outbox begin no write while `may_write` is false; `resume` when it is true again."""
        for outbox in self._outboxes:
            outbox.write_while(may_write)

    def resume(self) -> None:
        """Consumers may read again, and the outbox write."""
        for outbox in self._outboxes:
            outbox.resume()
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
        return TicksWriter(self._feed_dial, stream, take, self._ready)

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
            self._feed_dial,
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
        try:
            for outbox in self._outboxes:
                if outbox.may_write:
                    await outbox.flush()
        finally:
            for writing in self._writing:
                writing.cancel()
            await asyncio.gather(*self._writing, return_exceptions=True)  # `run` has told a failure
            for client in dict.fromkeys((self.redis, self.feed_redis)):
                await close_client(client)


def _lines(url: str, role: str, names: Names, ready: Ready) -> "tuple[Dial, redis.asyncio.Redis, Outbox]":
    """The ways to the keys of `names`."""
    endpoint = urls.parse(url, names.namespace)
    line = partial(dial, endpoint, f"{names.namespace}-{role}")
    return line, library_client(endpoint), Outbox(line, names.own(role, "outbox"), ready=ready)


def _of_the_feed(ready: Ready, part: str, ok: bool, why: str) -> None:
    ready(f"feed_{part}", ok, why)
