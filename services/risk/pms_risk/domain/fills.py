"""Which executions and cash flows have been booked: each is booked once, whoever reports it and however often.

Owns the memory of their keys, bounded in number. What is older than the memory can neither be called new nor seen: the
caller asks the database, where the key is unique. Used by `books`.
"""

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum, auto
from typing import Generic, TypeVar

FillKey = tuple[str, int, int]
"""Symbol, trade id, exchange order id: both sides of a self-match share a trade id."""
Key = TypeVar("Key", bound=Hashable)
MAX_KEYS = 200_000
"""About 40 MB; more than an hour at 50 executions a second."""


class Seen(Enum):
    """What is known of an execution."""

    NEW = auto()
    BOOKED = auto()
    OLD = auto()
    """Older than the memory: ask the database."""


class KeyMemory(Generic[Key]):
    """The newest keys, and from which time on they are complete."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._keys: OrderedDict[Key, int] = OrderedDict()
        self.complete_from_ms = 0
        """All booked ones with a time after this are remembered."""
        self.newest_ms = 0
        """The newest time among the booked ones."""

    def look(self, key: Key, at_ms: int) -> Seen:
        """Whether it was booked."""
        if key in self._keys:
            return Seen.BOOKED
        return Seen.OLD if at_ms <= self.complete_from_ms else Seen.NEW

    def remember(self, key: Key, at_ms: int) -> None:
        """It has been booked."""
        self._keys[key] = at_ms
        self.newest_ms = max(self.newest_ms, at_ms)
        if len(self._keys) > self._max_keys:
            _, forgotten_ms = self._keys.popitem(last=False)
            self.complete_from_ms = max(self.complete_from_ms, forgotten_ms)


class FillMemory(KeyMemory[FillKey]):
    """Of executions, by trade time."""
