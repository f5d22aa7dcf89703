"""A clock that runs faster: one real second is `speed` seconds for everything in this process that asks or waits.

Owns the patched functions of `time`, the event loop whose waits are shorter, and the periods that are given to Redis,
whose own clock is not hastened. All processes of a schedule run at the same speed from the same moment, so that every
period of the product keeps its meaning relative to all others.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hiredis

real_monotonic = time.monotonic
real_time = time.time
_pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command
PERIODS = frozenset({"BLOCK", "PX"})
"""Words of Redis commands that are followed by milliseconds."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Since when it runs faster: the wall clock's time then, the monotonic clock's time then, and how much faster."""

    wall_s: float
    monotonic_s: float
    speed: float

    def wall_ns(self) -> int:
        """The hastened wall clock."""
        return int((self.wall_s + (real_monotonic() - self.monotonic_s) * self.speed) * 1e9)


_epoch = Epoch(real_time(), real_monotonic(), 1.0)


def prepare() -> None:
    """Put the functions in place that can be hastened. Before the product is imported: it may keep what it imports."""
    time.time = lambda: _epoch.wall_ns() / 1e9
    time.time_ns = lambda: _epoch.wall_ns()  # noqa: PLW0108 (another epoch may come)
    time.monotonic = lambda: real_monotonic() * _epoch.speed
    time.monotonic_ns = lambda: int(real_monotonic() * _epoch.speed * 1e9)
    hiredis.pack_command = _pack_hastened  # type: ignore[assignment]  # its stub knows tuples of one word only


def begin(speed: float) -> Epoch:
    """Let the wall clock start anew from the real one; the monotonic clock never jumps."""
    install(Epoch(real_time(), real_monotonic(), speed))
    return _epoch


def install(epoch: Epoch) -> None:
    """Have this process live by that epoch."""
    global _epoch  # noqa: PLW0603 (there is one time in a process)
    _epoch = epoch


def now_ms() -> int:
    """The hastened wall clock, in milliseconds."""
    return _epoch.wall_ns() // 1_000_000


def _pack_hastened(words: Any) -> Any:
    if any(isinstance(word, str) and word in PERIODS for word in words):
        before = ("", *words)
        words = tuple(_shortened(word) if was in PERIODS else word for was, word in zip(before, words, strict=False))
    return _pack(words)


def _shortened(period: Any) -> int:
    return max(1, int(int(period) / _epoch.speed))


class _Selector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / _epoch.speed if timeout is not None and timeout > 0 else timeout)


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop that waits by the hastened clock."""
    return asyncio.SelectorEventLoop(_Selector())
