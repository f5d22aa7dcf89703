"""A clock that runs faster: one real second is `speed` seconds for everything in this process that asks or waits.

Owns the patched functions of `time`, the event loop whose waits are shorter, and the periods that are given to Redis,
whose own clock is not hastened. All processes of a schedule share one clock, so that every period of the product keeps
its meaning relative to all others; where the machine is too busy for its speed, it can be slowed for all of them.
"""

import asyncio
import mmap
import selectors
import time
from collections.abc import Callable
from typing import Any

import hiredis

real_monotonic = time.monotonic
real_time = time.time
_pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command
PERIODS = frozenset({"BLOCK", "PX"})
"""Words of Redis commands that are followed by milliseconds."""


class Clock:
    """One clock for the process that makes it and for those that it forks afterwards."""

    def __init__(self) -> None:
        # Which of the two settings below counts; then each one's real moment, its hastened one, the wall clock's lead
        # over that, and the speed. A reader of the old setting reads a whole one.
        self._shared = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")
        self._shared[4] = 1.0
        self.begin(1.0)

    @property
    def speed(self) -> float:
        """Seconds in a real one."""
        return self._shared[int(self._shared[0]) + 4]

    def monotonic_s(self) -> float:
        """It never jumps, whatever becomes of the speed and of the wall clock."""
        shared = self._shared
        at = int(shared[0])
        return shared[at + 2] + (real_monotonic() - shared[at + 1]) * shared[at + 4]

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return self.monotonic_s() + self._shared[int(self._shared[0]) + 3]

    def begin(self, speed: float) -> None:
        """Run at that speed from now on; the wall clock starts anew from the real one."""
        self._set(speed, real_time() - self.monotonic_s())

    def slow(self) -> None:
        """Run as fast as the real one from now on."""
        self._set(1.0, self._shared[int(self._shared[0]) + 3])

    def _set(self, speed: float, lead_s: float) -> None:
        at, monotonic_s = 5 if self._shared[0] == 0 else 0, self.monotonic_s()
        for place, value in enumerate((real_monotonic(), monotonic_s, lead_s, speed), start=at + 1):
            self._shared[place] = value
        self._shared[0] = at


clock: Clock


def prepare() -> None:
    """Put the functions in place that can be hastened. Before the product is imported: it may keep what it imports."""
    share()
    time.time = lambda: clock.wall_s()  # noqa: PLW0108 (another clock may come; so below)
    time.time_ns = lambda: int(clock.wall_s() * 1e9)
    time.monotonic = lambda: clock.monotonic_s()  # noqa: PLW0108
    time.monotonic_ns = lambda: int(clock.monotonic_s() * 1e9)
    hiredis.pack_command = _pack_hastened  # type: ignore[assignment]  # its stub knows tuples of one word only


def share() -> None:
    """A clock of its own for this process and for those that it forks."""
    global clock  # noqa: PLW0603 (there is one time in a process)
    clock = Clock()


def now_ms() -> int:
    """The hastened wall clock, in milliseconds."""
    return int(clock.wall_s() * 1000)


def _pack_hastened(words: Any) -> Any:
    if any(isinstance(word, str) and word in PERIODS for word in words):
        before = ("", *words)
        words = tuple(_shortened(word) if was in PERIODS else word for was, word in zip(before, words, strict=False))
    return _pack(words)


def _shortened(period: Any) -> int:
    return max(1, int(int(period) / clock.speed))


class _Selector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / clock.speed if timeout is not None and timeout > 0 else timeout)


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop that waits by the hastened clock."""
    return asyncio.SelectorEventLoop(_Selector())
