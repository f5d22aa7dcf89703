"""An entry as handlers see it, and the record of which entries of a (stream, group) are still to be acknowledged.

`Tracker` owns the cursor: everything up to it is acknowledged. Does no I/O. Used by consumer, reader and outbox.
"""

from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from pms_common.bus.ids import IdKey, id_key, id_ms


class Tracker:
    """Which entries of one stream and group were handed out, and which of them Redis has confirmed as acknowledged.

    Entries are remembered from the lowest unacknowledged one on, so that what is delivered again (a lost group, a
    lost reply) is recognised exactly: in process (skip) or done (acknowledge again).
    """

    __slots__ = ("_open", "_order", "cursor", "group", "known_until", "on_confirmed", "replayed_until", "stream")

    def __init__(self, stream: str, group: str, cursor: str, on_confirmed: Callable[[int], None]) -> None:
        self.stream = stream
        self.group = group
        self.cursor = cursor
        self.replayed_until: IdKey = (0, 0)
        """Entries up to here were in the stream when its group was created: they may have been delivered before."""
        self.known_until: IdKey = (0, 0)
        """Entries above were certainly not handed out yet."""
        self.on_confirmed = on_confirmed
        self._order: deque[str] = deque()
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        """Entries handed out and not acknowledged."""
        return len(self._open)

    def recheck(self, replayed_until: str) -> None:
        """The connection is new, perhaps the group too (then it delivers again up to `replayed_until`)."""
        self.replayed_until = max(self.replayed_until, id_key(replayed_until))
        handed_out = self._order[-1] if self._order else self.cursor
        self.known_until = max(self.replayed_until, id_key(handed_out))

    def opened(self, entry_id: str, parts: int = 1) -> None:
        """This entry is handed to its handler, in so many parts."""
        self._order.append(entry_id)
        self._open[entry_id] = parts

    def in_process(self, entry_id: str) -> bool:
        """Whether the entry was handed out and is not acknowledged."""
        return entry_id in self._open

    def remembered(self) -> set[str]:
        """All ids handed out above the cursor, acknowledged ones included. Not for the hot path."""
        return set(self._order)

    def confirmed(self, ids: list[str]) -> None:
        """Redis has the acknowledgement of these entries."""
        unacked, order, parts = self._open, self._order, 0
        for entry_id in ids:
            parts += unacked.pop(entry_id, 0)
        while order and order[0] not in unacked:
            self.cursor = order.popleft()
        self.on_confirmed(parts)


PACK = b"updates"
"""The one field of an entry that carries several updates."""
SEPARATOR = b"\n"
"""Between them: JSON as we write it has none."""


def updates_in(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """The updates of one entry of an updates stream, for those who read it without a consumer."""
    return fields[PACK].split(SEPARATOR) if PACK in fields else [fields[b"data"]]


class Entry(msgspec.Struct, eq=False, gc=False):
    """One stream entry, or one update of an entry that carries several: then `part` of those in `unsettled`.

    `data` is the `data` field, or b"" where there is none; `fields` are the other fields (the flat form that a person
    with redis-cli writes). `suspect`: redelivered, or older than this writer or this incarnation of Redis, so that
    its effect may already exist.
    """

    tracker: Tracker
    id: str
    data: bytes
    fields: dict[str, str]
    redelivered: bool = False
    suspect: bool = False
    part: int = 0
    unsettled: set[int] | None = None

    def settled(self) -> bool:
        """Whether with the acknowledgement of this part all parts of the entry are acknowledged."""
        if self.unsettled is None:
            return True
        self.unsettled.discard(self.part)
        return not self.unsettled

    @property
    def stream(self) -> str:
        """The stream it was read from."""
        return self.tracker.stream

    @property
    def ms(self) -> int:
        """When it was written, by the clock of Redis, in epoch milliseconds."""
        return id_ms(self.id)
