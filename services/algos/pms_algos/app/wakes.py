"""When to look at an algo again: one heap, one timer of the event loop.

Owns the timer. An entry whose time its algo no longer asks for is ignored by the engine.
"""

import asyncio
import heapq
from collections.abc import Callable


class Wakes:
    """Calls `wake(algo_id, at_ms)` when `at_ms` has come."""

    def __init__(self, wake: Callable[[str, int], None], now_ms: Callable[[], int]) -> None:
        self._wake, self._now_ms = wake, now_ms
        self._heap: list[tuple[int, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0

    def at(self, at_ms: int, algo_id: str) -> None:
        """Ask for a call."""
        heapq.heappush(self._heap, (at_ms, algo_id))
        self._arm()

    def stepped(self, by_ms: int) -> None:
        """The clock was set by so much: what was asked for is asked for as long from now."""
        self._heap = [(at_ms + by_ms, algo_id) for at_ms, algo_id in self._heap]  # as ordered as before
        self._timer_ms += by_ms
        self._arm()

    def _arm(self) -> None:
        if not self._heap:
            return
        if self._timer is not None and self._timer_ms <= self._heap[0][0]:
            return
        now_ms = self._now_ms()  # which may find a step, and set the heap
        if self._timer is not None:
            self._timer.cancel()
        first_ms = self._heap[0][0]
        delay_s = max(0, first_ms - now_ms) / 1000
        self._timer_ms = first_ms
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._now_ms()
        while self._heap and self._heap[0][0] <= now:
            at_ms, algo_id = heapq.heappop(self._heap)
            self._wake(algo_id, at_ms)
        self._arm()
