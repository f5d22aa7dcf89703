"""The venue's rate limits, honoured before sending.

Owns sliding counts of orders and weight and who may use how much of them. Sliding is stricter than the venue's aligned
windows: every aligned window lies inside a sliding one. Never waits: it says when there is room. Used by the pump.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum


class Lane(IntEnum):
    """Kinds of work, the most urgent first."""

    CANCEL = 0
    CLOSE = 1
    NEW = 2
    REPRICE = 3


# Share of an order window each lane may fill: new orders leave room for closes, repricing leaves half to others.
_SHARES = {Lane.CLOSE: 1.0, Lane.NEW: 0.9, Lane.REPRICE: 0.5}
QUERY_SHARE = 0.75
"""Share of the weight that queries may fill: the rest is kept for cancels."""
_SLICES = 20


class Window:
    """How much was used in the last `span_ms`, in slices of a twentieth."""

    __slots__ = ("_slice_ms", "_slices", "limit", "span_ms", "used")

    def __init__(self, span_ms: int, limit: int) -> None:
        self.span_ms = span_ms
        self.limit = limit
        self.used = 0
        self._slice_ms = max(1, span_ms // _SLICES)
        self._slices: deque[list[int]] = deque()

    def room(self, now_ms: int, share: float = 1.0) -> bool:
        """Whether one more fits into this share of the limit."""
        self._forget(now_ms)
        return self.used < self.limit * share

    def take(self, now_ms: int, amount: int = 1) -> None:
        """Count what is being sent."""
        self.used += amount
        at = now_ms - now_ms % self._slice_ms
        if self._slices and self._slices[-1][0] >= at:
            self._slices[-1][1] += amount
        else:
            self._slices.append([at, amount])

    def next_room_ms(self, now_ms: int) -> int:
        """When the oldest slice falls out of the window."""
        return self._slices[0][0] + self._slice_ms + self.span_ms if self._slices else now_ms

    def _forget(self, now_ms: int) -> None:
        slices = self._slices
        edge = now_ms - self.span_ms - self._slice_ms
        while slices and slices[0][0] < edge:
            self.used -= slices.popleft()[1]


@dataclass(slots=True)
class Budget:
    """The order windows and the weight window of one exchange account, and the ban it may be under."""

    orders: tuple[Window, ...]
    weight: Window
    blocked_until_ms: int = 0

    def admits(self, lane: Lane, now_ms: int) -> bool:
        """Whether a request of this lane may be sent now. Cancels cost weight, all others count as orders."""
        if now_ms < self.blocked_until_ms:
            return False
        if lane is Lane.CANCEL:
            return self.weight.room(now_ms)
        share = _SHARES[lane]
        for window in self.orders:  # noqa: SIM110 (a generator costs more than the windows)
            if not window.room(now_ms, share):
                return False
        return True

    def admits_query(self, weight: int, now_ms: int) -> bool:
        """Whether a query of this weight may be sent now, leaving the reserve for cancels."""
        fits = self.weight.used + weight <= self.weight.limit * QUERY_SHARE
        return now_ms >= self.blocked_until_ms and self.weight.room(now_ms) and fits

    def spend(self, lane: Lane, now_ms: int) -> None:
        """Count a request that is being sent."""
        if lane is Lane.CANCEL:
            self.weight.take(now_ms)
            return
        for window in self.orders:
            window.take(now_ms)

    def block(self, until_ms: int) -> None:
        """The venue wants to be left alone until then."""
        self.blocked_until_ms = max(self.blocked_until_ms, until_ms)

    def wait_ms(self, lane: Lane, now_ms: int) -> int:
        """How long to wait before asking again for this lane; 0 where it is admitted."""
        if self.admits(lane, now_ms):
            return 0
        if now_ms < self.blocked_until_ms:
            return self.blocked_until_ms - now_ms
        windows = (self.weight,) if lane is Lane.CANCEL else self.orders
        share = _SHARES.get(lane, 1.0)
        return max(1, *[w.next_room_ms(now_ms) - now_ms for w in windows if w.used >= w.limit * share])
