"""An entry as handlers see it, and the record of which entries of a (stream, group) are still to be acknowledged.

`Tracker` owns the cursor: everything up to it is acknowledged. Does no I/O. Used by consumer, reader and outbox.
"""

from collections import deque
from collections.abc import Callable

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
        self._open: set[str] = set()

    def __len__(self) -> int:
        """Entries handed out and not acknowledged."""
        return len(self._open)

    def recheck(self, replayed_until: str) -> None:
        """The connection is new, perhaps the group too (then it delivers again up to `replayed_until`)."""
        self.replayed_until = max(self.replayed_until, id_key(replayed_until))
        handed_out = self._order[-1] if self._order else self.cursor
        self.known_until = max(self.replayed_until, id_key(handed_out))

    def opened(self, ids: list[str]) -> None:
        """These entries are handed to their handler."""
        self._order.extend(ids)
        self._open.update(ids)

    def in_process(self, entry_id: str) -> bool:
        """Whether the entry was handed out and is not acknowledged."""
        return entry_id in self._open

    def remembered(self) -> set[str]:
        """All ids handed out above the cursor, acknowledged ones included. Not for the hot path."""
        return set(self._order)

    def confirmed(self, ids: list[str]) -> None:
        """Redis has the acknowledgement of these entries."""
        unacked = self._open
        before = len(unacked)
        unacked.difference_update(ids)
        order = self._order
        while order and order[0] not in unacked:
            self.cursor = order.popleft()
        self.on_confirmed(before - len(unacked))


class Entry(msgspec.Struct, eq=False):
    """One stream entry.

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

    @property
    def stream(self) -> str:
        """The stream it was read from."""
        return self.tracker.stream

    @property
    def ms(self) -> int:
        """When it was written, by the clock of Redis, in epoch milliseconds."""
        return id_ms(self.id)
