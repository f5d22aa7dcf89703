"""Live events for WebSockets: one ring for all of them, and one for each account that somebody follows alone.

Owns the newest events in memory. A socket that is further behind than its ring reads from the log; one that was live
and falls out of the ring is slow, and its owner closes it. So what a socket may cost is bounded by the ring. Of an
event of one account only those wake that follow this account, or all.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

RING = 4_096
ACCOUNT_RING = 512
OF_ALL = "*"
"""The account of an event that concerns everybody."""


class LiveEvent(NamedTuple):
    """An event as it lies in the log."""

    event_id: tuple[int, int]
    payload: bytes
    account_id: str = OF_ALL


class Ring:
    """The newest events, numbered by their position since it began."""

    def __init__(self, ring: int = RING) -> None:
        self._events: deque[LiveEvent] = deque(maxlen=ring)
        self._end = 0
        self._changed = asyncio.Event()

    @property
    def start(self) -> int:
        """Position of the oldest event in the ring."""
        return self._end - len(self._events)

    @property
    def end(self) -> int:
        """Position after the newest event."""
        return self._end

    def add(self, events: list[LiveEvent]) -> None:
        """Events that are in the log now."""
        self._events.extend(events)
        self._end += len(events)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def position_after(self, event_id: tuple[int, int]) -> int | None:
        """Position of the first event after `event_id`; None where the ring cannot tell."""
        if not self._events:
            return None
        if event_id < self._events[0].event_id:
            return None
        for back, event in enumerate(reversed(self._events)):
            if event.event_id <= event_id:
                return self._end - back
        return self.start

    def read(self, position: int, limit: int) -> list[LiveEvent]:
        """Up to `limit` events from `position` on, which must be in the ring."""
        at = position - self.start
        if at < 0:
            raise IndexError(position)
        size = len(self._events)
        return [self._events[i] for i in range(at, min(at + limit, size))]

    async def wait(self, position: int) -> None:
        """Return when there is an event at `position`."""
        while self._end <= position:
            await self._changed.wait()


class Hub(Ring):
    """The ring of all events, and those of accounts for as long as they are followed."""

    def __init__(self, ring: int = RING) -> None:
        super().__init__(ring)
        self._rings: dict[str, Ring] = {}
        self._followers: Counter[str] = Counter()

    @contextmanager
    def following(self, account_id: str) -> Iterator[Ring]:
        """The ring of an account's events and of those that concern everybody; that of all events for ''."""
        if not account_id:
            yield self
            return
        self._followers[account_id] += 1
        try:
            yield self._rings.setdefault(account_id, Ring(ACCOUNT_RING))
        finally:
            self._followers[account_id] -= 1
            if not self._followers[account_id]:
                del self._followers[account_id], self._rings[account_id]

    def add(self, events: list[LiveEvent]) -> None:
        """Events that are in the log now."""
        super().add(events)
        if not self._rings:
            return
        by_account = defaultdict(list)
        for event in events:
            for account_id in self._rings if event.account_id == OF_ALL else (event.account_id,):
                by_account[account_id].append(event)
        for account_id, theirs in by_account.items():
            if account_id in self._rings:
                self._rings[account_id].add(theirs)
