"""What the outbox writes: stretches of commands, and the one MULTI they leave in.

Owns the bytes of a write, how many replies they get, and whether those say that it was executed. Updates of one stream
that leave in one write share entries. Does no I/O. Used by the outbox alone.
"""

import functools
import secrets
from collections.abc import Iterator

from pms_common.bus.entry import PACK, SEPARATOR, Entry, Tracker
from pms_common.bus.errors import RespError
from pms_common.bus.resp import Replies, Word, pack

REPEATABLE = frozenset({"SET", "DEL", "XACK", "HSET", "HDEL", "EXPIRE", "PEXPIRE"})
"""Executed twice these leave what they leave once: alone they need no MULTI and no mark."""


MAX_PACK = 32
MAX_PACK_BYTES = 32 * 1024
"""Updates in one entry: what an entry costs Redis and its readers is then next to nothing an update."""


@functools.lru_cache(maxsize=1024)
def _xadd_head(stream: str, maxlen: int | None, field: Word) -> bytes:
    bound: tuple[Word, ...] = () if maxlen is None else ("MAXLEN", "~", maxlen)
    return pack(("XADD", stream, *bound, "*", field, ""))[: -len(b"$0\r\n\r\n")]


def xadd(stream: str, data: bytes, maxlen: int | None, field: Word = "data") -> bytes:
    """A packed XADD of one field. All but the data is packed once: a third of the time."""
    return b"%b$%d\r\n%b\r\n" % (_xadd_head(stream, maxlen, field), len(data), data)


def packs(updates: list[bytes]) -> Iterator[list[bytes]]:
    """The updates in their order, those together that share an entry."""
    some: list[bytes] = []
    size = 0
    for update in updates:
        if some and (len(some) == MAX_PACK or size + len(update) > MAX_PACK_BYTES):
            yield some
            some, size = [], 0
        some.append(update)
        size += len(update)
    if some:
        yield some


def _xadd_updates(updates: list[tuple[str, bytes]]) -> Iterator[bytes]:
    by_stream: dict[str, list[bytes]] = {}
    for stream, update in updates:
        by_stream.setdefault(stream, []).append(update)
    for stream, told in by_stream.items():
        for some in packs(told):
            if len(some) == 1:
                yield xadd(stream, some[0], None)
            else:
                yield xadd(stream, SEPARATOR.join(some), None, PACK)


MARK_KEPT_S = 7 * 24 * 3600
"""Longer than a writer waits for Redis; it outlives its writer that long."""


class Marks:
    """The marks of one writer, a count under a key of its own, and the packed SET of each. A mark is never used twice.

    Writers of one role share no key: one that was stopped, and goes on beside its successor, must not hide from it
    what was executed.
    """

    def __init__(self, key: str) -> None:
        self.key = f"{key}:{secrets.token_hex(8)}"
        self._count = 0
        width = len(self._mark())
        packed = pack(("SET", self.key, b"x" * width, "EX", MARK_KEPT_S))
        self._head, _, self._tail = packed.rpartition(b"x" * width)

    def next(self) -> tuple[bytes, bytes]:
        """A new mark and its SET."""
        self._count += 1
        mark = self._mark()
        return mark, b"%b%b%b" % (self._head, mark, self._tail)

    def _mark(self) -> bytes:
        return b"%016x" % self._count


_MULTI = pack(("MULTI",))
_EXEC = pack(("EXEC",))


class Stretch:
    """What was added without an await in between. `urgent`: somebody waits for some of it."""

    __slots__ = ("acks", "commands", "repeatable", "size", "updates", "urgent")

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.updates: list[tuple[str, bytes]] = []
        self.acks: list[Entry] = []
        self.size = 0
        self.repeatable = True
        self.urgent = False

    @property
    def count(self) -> int:
        """Commands and updates."""
        return len(self.commands) + len(self.updates)

    def add(self, packed: bytes, *, repeatable: bool = False, late: bool = False) -> None:
        """Append a packed command."""
        self.commands.append(packed)
        self.size += len(packed)
        if not repeatable:
            self.repeatable = False
        if not late:
            self.urgent = True

    def tell(self, stream: str, update: bytes) -> None:
        """Append an update to its stream."""
        self.updates.append((stream, update))
        self.size += len(update)
        self.repeatable = False
        self.urgent = True

    def absorb(self, later: "Stretch") -> None:
        """Append what was added afterwards; both are executed together."""
        self.commands += later.commands
        self.updates += later.updates
        self.acks += later.acks
        self.size += later.size
        self.repeatable = self.repeatable and later.repeatable


class Write:
    """One write in flight: its bytes, the replies they get, and what follows from them."""

    __slots__ = ("acks", "commands", "mark", "payload", "replies", "size", "stretches")

    def __init__(self, stretches: list[Stretch], mark: bytes, set_mark: bytes) -> None:
        self.stretches = len(stretches)
        self.size = self.commands = 0
        self.acks: dict[Tracker, list[str]] = {}
        packed: list[bytes] = []
        updates: list[tuple[str, bytes]] = []
        for stretch in stretches:
            packed += stretch.commands
            updates += stretch.updates
            self.size += stretch.size
            for entry in stretch.acks:
                self.acks.setdefault(entry.tracker, []).append(entry.id)
        self.commands = len(packed) + len(updates)
        if updates:
            packed += _xadd_updates(updates)
        for tracker, ids in self.acks.items():
            packed.append(pack(("XACK", tracker.stream, tracker.group, *ids)))
        if len(packed) == 1 and stretches[0].repeatable:
            self.mark = b""
            self.payload, self.replies = packed[0], 1
        else:
            self.mark = mark
            self.payload = b"".join((_MULTI, set_mark, *packed, _EXEC))
            self.replies = len(packed) + 3

    def refusal(self, replies: Replies) -> RespError | None:
        """Why Redis did not execute all of it; None where it did."""
        last = replies[-1]
        if not self.mark:
            return last if isinstance(last, RespError) else None
        if type(last) is list:  # executed; an error inside is one command's, the others have their effect
            return next((reply for reply in last if isinstance(reply, RespError)), None)
        return next(reply for reply in replies if isinstance(reply, RespError))
