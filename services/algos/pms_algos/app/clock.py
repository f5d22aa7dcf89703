"""The time that algos live in: UTC, and a step of the wall clock moves nothing that is under way.

Owns the noticing of steps. Ages and intervals are differences of these times; where the wall clock was set, all that
are kept are set with it, so that they stay what they were (`Engine`), and what is saved and told stays UTC. The
time that a machine was suspended counts as a step.
"""

from collections.abc import Callable

from pms_common.clock import monotonic_ms, now_ms

STEP_MS = 100
"""Less is the grain of two clocks. What gathers by and by (both are slewed alike) counts when it is so much."""


class Clock:
    """Tells the time; `on_step` hears first by how much it was set."""

    def __init__(self, wall_ms: Callable[[], int] = now_ms, ages_ms: Callable[[], int] = monotonic_ms) -> None:
        self._wall_ms, self._ages_ms = wall_ms, ages_ms
        self._ahead_ms = wall_ms() - ages_ms()
        self.on_step: Callable[[int], None] = lambda _: None

    def now_ms(self) -> int:
        """UTC, in epoch milliseconds."""
        wall_ms = self._wall_ms()
        step_ms = wall_ms - self._ages_ms() - self._ahead_ms
        if abs(step_ms) >= STEP_MS:
            self._ahead_ms += step_ms
            self.on_step(step_ms)
        return wall_ms
