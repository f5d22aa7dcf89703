"""Live events for WebSockets: one ring for all of them, a place in it for each.

Owns the newest events in memory. A socket that is further behind than the ring reads from the log; one that was live
and falls out of the ring is slow, and its owner closes it. So what a socket may cost is bounded by the ring.
"""

import asyncio
from collections import deque
from typing import NamedTuple

RING = 4_096


class LiveEvent(NamedTuple):
    """An event as it lies in the log."""

    event_id: tuple[int, int]
    payload: bytes


class Hub:
    """The newest events, numbered by their position since the process began."""

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
