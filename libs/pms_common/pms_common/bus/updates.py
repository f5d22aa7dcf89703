"""Numbering of an updates stream: every entry carries its writer's epoch and a running number, so that gaps show.

`UpdatesWriter` owns the numbers of the one writer; `GapDetector` what one reader has seen. Neither knows what an
update means or how a gap is healed: the reader's service asks the owner's queries stream.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import msgspec

from pms_common.bus.errors import Malformed
from pms_common.bus.outbox import Outbox
from pms_common.contracts.bus.base import Update, encode

MAX_GAPS = 1000
"""Gaps remembered; beyond, the oldest is forgotten and only a snapshot heals it."""

OnGap = Callable[[int, int, int], None]
"""Told (epoch, first missing n, last missing n)."""


class UpdatesWriter:
    """Numbers and encodes the updates of one writer. A rollback of the outbox takes the numbers back, too."""

    def __init__(self, outbox: Outbox, stream: str, epoch: int) -> None:
        self.n = 0
        self._outbox = outbox
        self._stream = stream
        self._epoch = epoch
        outbox.register(self)

    def add(self, kind: type[Update], /, **fields: Any) -> None:
        """Append an update built here of its fields, without `epoch` and `n`."""
        self.publish(kind(epoch=0, n=0, **fields))

    def publish(self, update: Update) -> None:
        """Give the update its epoch and number (whatever it had) and append it to the stream."""
        self._outbox.tell(self._stream, self._numbered(update))

    def mark(self) -> int:
        """Its state, for rollbacks of the outbox."""
        return self.n

    def back(self, mark: int) -> None:
        """Return to that state."""
        self.n = mark

    def _numbered(self, update: Update) -> bytes:
        self.n += 1
        # The messages are frozen for everybody else; building each a second time would cost more than encoding it.
        msgspec.structs.force_setattr(update, "epoch", self._epoch)
        msgspec.structs.force_setattr(update, "n", self.n)
        return encode(update)


def peek(data: bytes) -> tuple[bytes, int, int]:
    """Tag, epoch and number of an encoded update, at a tenth of the cost of decoding it.

    Relies on what `UpdatesWriter` writes: `{"t":"order","epoch":1,"n":2,…`. Raises `Malformed` for anything else.
    """
    try:
        tag, epoch, number, _ = data.split(b",", 3)
        if tag.startswith(b'{"t":"') and epoch.startswith(b'"epoch":') and number.startswith(b'"n":'):
            return tag[6:-1], int(epoch[8:]), int(number[4:])
    except ValueError:
        pass
    raise Malformed("not an update")


class GapDetector:
    """What one reader has seen of one updates stream.

    Drops lower epochs and repeated numbers, tells gaps once, and lets the missing ones in when they are replayed.
    """

    def __init__(self, on_gap: OnGap, epoch: int = 0, n: int = 0) -> None:
        self.epoch = epoch
        self.n = n
        self._on_gap = on_gap
        self._missing: list[tuple[int, int]] = []  # ascending, disjoint

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """Ranges of numbers of this epoch that were never seen."""
        return tuple(self._missing)

    def accept(self, epoch: int, n: int) -> bool:
        """Whether an update with this epoch and number is to be applied."""
        if epoch == self.epoch and n == self.n + 1:
            self.n = n
            return True
        if epoch < self.epoch:
            return False
        if epoch > self.epoch:
            self.reset(epoch, 0)
        elif n <= self.n:
            return self._fill(n)
        first, self.n = self.n + 1, n
        if first < n:
            self._missing = [*self._missing[-MAX_GAPS + 1 :], (first, n - 1)]
            self._on_gap(epoch, first, n - 1)
        return True

    def reset(self, epoch: int, n: int) -> None:
        """A snapshot covers all up to here: nothing is missing any more."""
        self.epoch, self.n = epoch, n
        self._missing = []

    def _fill(self, n: int) -> bool:
        at = bisect_right(self._missing, n, key=lambda gap: gap[0]) - 1
        if at < 0 or self._missing[at][1] < n:
            return False
        first, last = self._missing[at]
        self._missing[at : at + 1] = [gap for gap in ((first, n - 1), (n + 1, last)) if gap[0] <= gap[1]]
        return True
