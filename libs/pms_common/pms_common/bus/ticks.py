"""Newest-only ticks: several symbols an entry, the newest per symbol wins while a write is in flight.

Nothing is acknowledged and no backlog is worked off: a slow reader skips to the newest, since the feed repeats every
watched symbol at least once a second. Owns a connection of its own on either side. Used by feed; risk, algos, gateway.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from pms_common.bus.dial import Backoff, Dial
from pms_common.bus.errors import Malformed, RespError, is_infrastructure
from pms_common.bus.handling import dead_letter
from pms_common.bus.ids import ZERO, id_ms
from pms_common.bus.outbox import Outbox, Ready
from pms_common.bus.reader import BLOCK_MS, PAUSE_S
from pms_common.bus.resp import Connection, Replies, Reply, pack
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick, ticks

decode = ticks.decode

MAXLEN = 20_000
"""Entries kept: 20 s at a thousand writes a second under full load, longer than a successor takes to begin. 11 MB."""
COUNT = 100
PAGE = 1_000
MAX_LAG_MS = 250
"""A reader whose full batch is older than this skips."""
KEEP_MS = 20
"""How much before the newest entry it goes on, so that most symbols are still among what it reads."""

TicksHandler = Callable[[list[Tick]], None]
Missed = Callable[[], TicksHandler | None]


Take = Callable[[], list[Tick]]
"""Gives the newest tick of each symbol there is something new of; called at the moment of each write."""


class TicksWriter:
    """Writes the newest ticks as one JSON array an entry: at once when the line is idle, else after the answer.

    `wake` and `set` never wait. What is not written when a line is lost is written on the next one.
    """

    def __init__(self, dial: Dial, stream: str, take: Take, ready: Ready) -> None:
        self._loop = asyncio.get_running_loop()
        self._dial = dial
        self._stream = stream
        self._take = take
        self._ready = ready
        self._line: Connection | None = None
        self._inflight: list[Tick] = []
        self._lost: list[Tick] = []
        self._beside: dict[str, bytes] = {}
        self._writing = self._scheduled = False
        self._refused: RespError | None = None

    @property
    def connected(self) -> bool:
        """Whether it has a line to Redis."""
        return self._line is not None

    @property
    def idle(self) -> bool:
        """Whether Redis has answered all that was written."""
        return self._line is not None and not self._writing

    def wake(self) -> None:
        """There is something to take."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._write)

    def set(self, key: str, value: bytes, ex_s: int) -> None:
        """Have a key set with the next write; of several values of one key the last."""
        self._beside[key] = pack(("SET", key, value, "EX", ex_s))
        self.wake()

    async def run(self) -> None:
        """Keep the line until cancelled. Raises `RespError` when Redis refuses for good."""
        backoff = Backoff()
        while True:
            try:
                line = await self._dial()
            except (OSError, RespError) as error:
                if not is_infrastructure(error):
                    raise
                self._ready("ticks", False, str(error))
            else:
                await self._keep(line, backoff)
            await backoff.wait()

    async def _keep(self, line: Connection, backoff: Backoff) -> None:
        backoff.connected()
        self._line = line
        self._ready("ticks", True, "")
        self._write()
        try:
            loss = await asyncio.shield(line.lost)
        finally:
            self._line = None
            line.abort("ticks writer closed")
        if self._refused is not None and not self._refused.transient:
            raise self._refused
        self._lost, self._inflight, self._writing = self._inflight, [], False
        self._ready("ticks", False, str(loss))

    def _write(self) -> None:
        self._scheduled = False
        if self._line is None or self._writing:
            return
        ticks = self._take()
        if self._lost:
            ticks = list({tick.symbol: tick for tick in (*self._lost, *ticks)}.values())
        if not ticks and not self._beside:
            return
        commands = list(self._beside.values())
        if ticks:
            commands.insert(0, pack(("XADD", self._stream, "MAXLEN", "~", MAXLEN, "*", "data", encode(ticks))))
        self._inflight, self._lost, self._beside, self._writing = ticks, [], {}, True
        self._line.request(b"".join(commands), len(commands), self._answered)

    def _answered(self, replies: Replies | ConnectionError) -> None:
        if isinstance(replies, ConnectionError) or self._line is None:
            return
        refused = next((reply for reply in replies if isinstance(reply, RespError)), None)
        if refused is not None:
            self._refused = refused
            self._line.abort(str(refused))
            return
        self._inflight, self._writing = [], False
        self._write()


class TicksReader:
    """Reads the newest ticks as a group of this process, without acknowledgements.

    `missed` gives who wants all that the stream still holds, if anybody does: whenever the reader begins, before the
    first new ones, much of which he may have seen; and what it skips.
    """

    def __init__(
        self,
        dial: Dial,
        stream: str,
        group: str,
        handler: TicksHandler,
        *,
        outbox: Outbox,
        dead_stream: str,
        ready: Ready,
        calm: Callable[[], bool],
        missed: Missed,
    ) -> None:
        self._calm = calm
        self._dial = dial
        self._stream = stream
        self._group = group
        self._handler = handler
        self._missed = missed
        self._outbox = outbox
        self._dead_stream = dead_stream
        self._ready = ready
        words = ("GROUP", group, group, "COUNT", COUNT, "BLOCK", BLOCK_MS, "NOACK", "STREAMS", stream, ">")
        self._read_new = pack(("XREADGROUP", *words))
        self._connection: Connection | None = None
        self._ended: asyncio.Future[Exception] | None = None
        self.skips = 0
        """How often it skipped to the newest."""

    @property
    def reading(self) -> bool:
        """Whether it waits for ticks."""
        return self._ended is not None and not self._ended.done()

    async def run(self) -> None:
        """Read until cancelled. Raises a handler's error, and when Redis refuses for good."""
        backoff = Backoff()
        while True:
            try:
                connection = await self._dial()
                backoff.connected()
                try:
                    why = await self._read_until_ended(connection)
                finally:
                    connection.abort("ticks reader closed")
            except (OSError, RespError) as error:
                why = error
            if not is_infrastructure(why) and getattr(why, "code", "") != "NOGROUP":
                raise why
            self._ready(f"ticks:{self._group}", False, str(why))
            await backoff.wait()

    async def _read_until_ended(self, connection: Connection) -> Exception:
        try:
            await connection.call("XGROUP", "CREATE", self._stream, self._group, ZERO, "MKSTREAM")
        except RespError as error:
            if error.code != "BUSYGROUP":
                raise
        missed = self._missed()
        if missed is None:
            await self._skip(connection)
        else:
            await self._catch_up(connection, missed)
        self._connection = connection
        self._ended = asyncio.get_running_loop().create_future()
        self._ready(f"ticks:{self._group}", True, "")
        connection.request(self._read_new, 1, self._answered)
        return await self._ended

    async def _skip(self, connection: Connection) -> None:
        newest = await connection.call("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
        if newest:
            start = f"{max(0, id_ms(newest[0][0].decode()) - KEEP_MS)}-0"
            await connection.call("XGROUP", "SETID", self._stream, self._group, start)

    async def _catch_up(self, connection: Connection, missed: TicksHandler) -> None:
        """Hand out all that is kept, in one piece, and go on right behind it."""
        found: list[Tick] = []
        last, more = ZERO, True
        while more:
            entries = await connection.call("XRANGE", self._stream, f"({last}", "+", "COUNT", PAGE)
            found += _ticks_in(entries)
            last = entries[-1][0].decode() if entries else last
            more = len(entries) == PAGE
        await connection.call("XGROUP", "SETID", self._stream, self._group, last)
        missed(found)

    def _answered(self, replies: Replies | ConnectionError) -> None:
        if self._connection is None or self._ended is None or self._ended.done():
            return
        reply = replies if isinstance(replies, ConnectionError) else replies[0]
        if isinstance(reply, Exception):
            self._ended.set_result(reply)
            return
        entries: list[Reply] = reply[0][1] if reply else []
        try:
            for entry_id, fields in entries:
                self._hand_out(entry_id, fields)
        except Exception as error:  # noqa: BLE001 (reported: `run` raises it)
            self._ended.set_exception(error)
            return
        if len(entries) < COUNT:
            if self._calm():
                asyncio.get_running_loop().call_later(PAUSE_S, self._go_on, self._connection)
            else:
                self._go_on(self._connection)
        else:
            last = entries[-1][0]
            newest = pack(("XREVRANGE", self._stream, "+", "-", "COUNT", 1))
            self._connection.request(newest, 1, lambda got: self._compare(last, got))

    def _go_on(self, connection: Connection) -> None:
        if connection is self._connection:
            connection.request(self._read_new, 1, self._answered)

    def _compare(self, last: bytes, replies: Replies | ConnectionError) -> None:
        """After a full batch: go on where it ended, or skip if that is too long ago by the clock of Redis."""
        if self._connection is None or isinstance(replies, ConnectionError) or not isinstance(replies[0], list):
            self._answered(replies)
            return
        newest_ms = id_ms(replies[0][0][0].decode()) if replies[0] else 0
        if newest_ms - id_ms(last.decode()) <= MAX_LAG_MS:
            self._connection.request(self._read_new, 1, self._answered)
            return
        self.skips += 1
        until, missed = f"{newest_ms - KEEP_MS}-0", self._missed()
        if missed is not None:
            skipped = pack(("XRANGE", self._stream, f"({last.decode()}", until))
            self._connection.request(skipped, 1, lambda got: self._tell_skipped(missed, got))
        skip = pack(("XGROUP", "SETID", self._stream, self._group, until))
        self._connection.request(
            skip + self._read_new, 2, lambda got: self._answered(got if isinstance(got, ConnectionError) else got[1:])
        )

    def _tell_skipped(self, missed: TicksHandler, replies: Replies | ConnectionError) -> None:
        if isinstance(replies, ConnectionError) or not isinstance(replies[0], list):
            self._answered(replies)
            return
        try:
            missed(_ticks_in(replies[0]))
        except Exception as error:  # noqa: BLE001 (reported: `run` raises it)
            if self._ended is not None and not self._ended.done():
                self._ended.set_exception(error)

    def _hand_out(self, entry_id: bytes, fields: list[bytes]) -> None:
        data = fields[1] if len(fields) == 2 and fields[0] == b"data" else b""
        try:
            self._handler(decode(data))
        except (Malformed, msgspec.DecodeError) as error:
            dead_letter(self._outbox, self._dead_stream, self._stream, entry_id.decode(), str(error), 1, data)


def _ticks_in(entries: list[Reply]) -> list[Tick]:
    """All of them; of garbage no reader has anything."""
    found: list[Tick] = []
    for _, fields in entries:
        with contextlib.suppress(msgspec.DecodeError):
            found += decode(fields[1])
    return found
