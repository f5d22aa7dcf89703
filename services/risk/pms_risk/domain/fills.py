"""Which executions have been booked: each is booked once, whoever reports it and however often.

Owns the memory of fill keys, bounded in number. What is older than the memory can neither be called new nor seen: the
caller asks the database, where the key is unique. Used by `books`.
"""

from collections import OrderedDict
from enum import Enum, auto

FillKey = tuple[str, int, int]
"""Symbol, trade id, exchange order id: both sides of a self-match share a trade id."""
MAX_KEYS = 200_000
"""About 40 MB; more than an hour at 50 executions a second."""


class Seen(Enum):
    """What is known of an execution."""

    NEW = auto()
    BOOKED = auto()
    OLD = auto()
    """Older than the memory: ask the database."""


class FillMemory:
    """The newest fill keys, and from which trade time on they are complete."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._keys: OrderedDict[FillKey, int] = OrderedDict()
        self.complete_from_ms = 0
        """All booked executions with a trade time after this are remembered."""
        self.newest_ms = 0
        """The newest trade time among the booked ones."""

    def look(self, key: FillKey, trade_ms: int) -> Seen:
        """Whether the execution was booked."""
        if key in self._keys:
            return Seen.BOOKED
        return Seen.OLD if trade_ms <= self.complete_from_ms else Seen.NEW

    def remember(self, key: FillKey, trade_ms: int) -> None:
        """The execution has been booked."""
        self._keys[key] = trade_ms
        self.newest_ms = max(self.newest_ms, trade_ms)
        if len(self._keys) > self._max_keys:
            _, forgotten_ms = self._keys.popitem(last=False)
            self.complete_from_ms = max(self.complete_from_ms, forgotten_ms)
