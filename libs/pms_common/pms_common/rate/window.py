"""How much of one of the venue's limits is used: a sliding count in slices.

Owns the arithmetic. Sliding is stricter than the venue's windows, which are aligned to its clock: every aligned window
lies inside a sliding one. Never reads a clock and never does I/O: times are of the caller's monotonic clock, so that a
step of the wall clock neither frees nor blocks anything. Used by the order service's budget, by the feed's, and by
`shared`, which brings in what other processes have used.
"""

from collections import deque
from collections.abc import Iterable

SLICES = 20
"""A slice is this part of the window: what is counted is forgotten at most that much too late."""

CREDIT_PART = 20
"""A twentieth of the limit, see `shared`."""
LEAST_CREDIT = 120
"""A twentieth of the 2,400 weight a minute; no single request weighs more than 40."""

Slices = deque[list[int]]
"""[begin, count], the oldest first."""


class Window:
    """What was used in the last `span_ms`: by this process, and by others as far as Redis told.

    `portion` is the part of the limit that may be used: less than 1 while nobody tells what others use, and all that
    bounds it then.
    `credit` is how much this process may use before Redis knows of it, so that what several processes use at the same
    moment stays inside the limit's margin; 0: as much as there is (nobody else uses this limit).
    """

    __slots__ = (
        *("_forget_ms", "_known", "_own", "_reporting", "credit", "limit"),
        *("portion", "slice_ms", "span_ms", "unreported", "used"),
    )

    def __init__(self, span_ms: int, limit: int, shared: bool = False) -> None:
        self.span_ms = span_ms
        self.limit = limit
        self.credit = max(LEAST_CREDIT, limit // CREDIT_PART) if shared else 0
        self.portion = 1.0
        self.slice_ms = max(1, span_ms // SLICES)
        self.used = 0
        self.unreported = 0
        self._forget_ms = 0
        self._known: Slices = deque()
        self._reporting: Slices = deque()
        self._own: Slices = deque()

    def set_limit(self, limit: int) -> None:
        """The venue has named its limit."""
        self.limit = limit
        if self.credit:
            self.credit = max(LEAST_CREDIT, limit // CREDIT_PART)

    def room(self, now_ms: int, share: float = 1.0) -> int:
        """How many more fit into this share of the limit."""
        if now_ms >= self._forget_ms:
            self._forget(now_ms)
        room = int(self.limit * share * self.portion + 1e-9) - self.used
        if self.credit and self.portion == 1.0 and self.unreported + room > self.credit:
            room = self.credit - self.unreported
        return max(room, 0)

    def take(self, now_ms: int, amount: int = 1) -> None:
        """Count what is being sent."""
        self.used += amount
        self.unreported += amount
        begin = now_ms - now_ms % self.slice_ms
        own = self._own
        if own and own[-1][0] >= begin:
            own[-1][1] += amount
        else:
            own.append([begin, amount])

    def raise_to(self, now_ms: int, used: int) -> None:
        """The venue has counted this much: others, whom nobody here knows, have used the difference."""
        if now_ms >= self._forget_ms:
            self._forget(now_ms)
        if used > self.used:
            self.take(now_ms, used - self.used)

    def next_room_ms(self, now_ms: int) -> int:
        """When the oldest count falls out of the window."""
        begins = [slices[0][0] for slices in (self._known, self._reporting, self._own) if slices]
        return min(begins) + self.slice_ms + self.span_ms if begins else now_ms

    # -- what is shared

    def report(self) -> int:
        """What was used since the last report. `confirm` or `unconfirmed` follows."""
        self._reporting.extend(self._own)
        self._own.clear()
        self.unreported = 0
        return sum(count for _, count in self._reporting)

    def confirm(self, known: Iterable[tuple[int, int]]) -> None:
        """The report has arrived: this is what all have used, (begin, count), the oldest first."""
        self._reporting.clear()
        # Another clock's slices begin elsewhere: each is taken for the next of ours.
        self._known = deque([begin - begin % -self.slice_ms, count] for begin, count in known)
        self.used = sum(count for slices in (self._known, self._own) for _, count in slices)

    def unconfirmed(self) -> None:
        """Whether the report has arrived is not known: it is made again, and at worst counted twice."""
        self._reporting.extend(self._own)
        self._own, self._reporting = self._reporting, deque()
        self.unreported = sum(count for _, count in self._own)

    def _forget(self, now_ms: int) -> None:
        """Once a slice: all slices begin at its multiples."""
        self._forget_ms = now_ms - now_ms % self.slice_ms + self.slice_ms
        edge = now_ms - self.span_ms - self.slice_ms
        for slices in (self._known, self._reporting, self._own):
            while slices and slices[0][0] < edge:
                count = slices.popleft()[1]
                self.used -= count
                if slices is self._own:
                    self.unreported -= count
