"""What the outbox writes: stretches of commands, and the one MULTI they leave in.

Owns the bytes of a write, how many replies they get, and whether those say that it was executed. Does no I/O. Used by
the outbox alone.
"""

from pms_common.bus.entry import Entry, Tracker
from pms_common.bus.errors import RespError
from pms_common.bus.resp import Replies, pack

REPEATABLE = frozenset({"SET", "DEL", "XACK", "HSET", "HDEL", "EXPIRE", "PEXPIRE"})
"""Executed twice these leave what they leave once: alone they need no MULTI and no mark."""

_MULTI = pack(("MULTI",))
_EXEC = pack(("EXEC",))


class Stretch:
    """What was added without an await in between."""

    __slots__ = ("acks", "commands", "repeatable", "size")

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.acks: list[Entry] = []
        self.size = 0
        self.repeatable = True


class Write:
    """One write in flight: its bytes, the replies they get, and what follows from them."""

    __slots__ = ("acks", "commands", "mark", "payload", "replies", "size", "stretches")

    def __init__(self, stretches: list[Stretch], mark: str, set_mark: bytes) -> None:
        packed = [command for stretch in stretches for command in stretch.commands]
        self.stretches = len(stretches)
        self.size = sum(stretch.size for stretch in stretches)
        self.commands = len(packed)
        self.acks: dict[Tracker, list[str]] = {}
        for stretch in stretches:
            for entry in stretch.acks:
                self.acks.setdefault(entry.tracker, []).append(entry.id)
        for tracker, ids in self.acks.items():
            packed.append(pack(("XACK", tracker.stream, tracker.group, *ids)))
        if len(packed) == 1 and stretches[0].repeatable:
            self.mark = ""
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
