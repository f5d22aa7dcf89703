"""The venue's clock, as seen from here.

Owns the offset between the venue's time and this machine's monotonic clock, so that a step of the wall clock changes
nothing. Measured at start, every minute, and when the venue complains. Used for the timestamp of every signed request.
"""

import time
from collections.abc import Awaitable, Callable

from pms_common import metrics

SAMPLES = 5
MAX_AGE_S = 300.0
"""Without a measurement this long the clock is not known: crystals drift up to 100 ppm, 30 ms in this time."""

_offset = metrics.gauge("clock_offset_seconds", "The exchange's clock less this machine's, when last measured")
_uncertainty = metrics.gauge("clock_uncertainty_seconds", "Half of the round trip in which it was measured")


class VenueClock:
    """Tells the venue's time in milliseconds."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._offset_ms: float | None = None
        self._measured_s = 0.0
        self.uncertainty_ms = 0.0
        self.may_send: Callable[[], bool] = lambda: True
        """Whether this process is the one that may trade."""
        self._stamp_ms = 0

    def now_ms(self) -> int:
        """The venue's time now. Raises `RuntimeError` before the first measurement."""
        if self._offset_ms is None:
            raise RuntimeError("the venue's clock has not been measured")
        return int(self._now_s() * 1000 + self._offset_ms)

    def told_ms(self) -> int | None:
        """The venue's time now; None before the first measurement."""
        return None if self._offset_ms is None else self.now_ms()

    def stamp_ms(self) -> int:
        """The timestamp of a trading request: the last instant at which this process is known to have been allowed to,
        by the earliest that the venue's clock may show.

        A request that leaves later than its recvWindow after that instant, because the process was stopped or has
        lost its lease, is refused by the venue: this is the fence between two writers.
        """
        now_ms = int(self.now_ms() - self.uncertainty_ms)
        if self.may_send():
            self._stamp_ms = now_ms
        return self._stamp_ms

    @property
    def known(self) -> bool:
        """Whether the offset was measured lately."""
        return self._offset_ms is not None and self._now_s() - self._measured_s < MAX_AGE_S

    async def measure(self, ask: Callable[[], Awaitable[int]]) -> None:
        """Ask the venue's time a few times and keep the sample with the shortest round trip."""
        best: tuple[float, float] | None = None
        for _ in range(SAMPLES):
            before = self._now_s()
            told_ms = await ask()
            after = self._now_s()
            sample = (after - before, told_ms - (before + after) * 500)
            best = sample if best is None else min(best, sample)
        if best is not None:
            self.uncertainty_ms, self._offset_ms = best[0] * 500, best[1]
            self._measured_s = self._now_s()
            _offset.set(self.now_ms() / 1000 - time.time())
            _uncertainty.set(self.uncertainty_ms / 1000)
