"""Counts of many schedules, and how they are shown."""

from collections import Counter

from tests.faults.stage import Played

KINDS = ("duplicate", "lost", "phantom", "wrong")


class Tally:
    """Adds up what became of schedules."""

    def __init__(self) -> None:
        self.schedules = 0
        self.counts: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()
        self.failed: list[int] = []
        self.ended: list[int] = []
        """Seeds in which the service ended by itself."""
        self._seconds = 0.0

    def add(self, played: Played) -> None:
        """One more."""
        self.schedules += 1
        self.counts += played.counts
        self._seconds += played.seconds
        for violation in played.violations:
            self.violations[violation.kind] += 1
        if played.violations:
            self.failed.append(played.seed)
        if played.ends:
            self.ended.append(played.seed)

    def lines(self, seconds: float) -> list[str]:
        """The whole, for people."""
        shown = [f"{self.schedules} schedules in {seconds:.1f} s ({self._seconds / max(1, self.schedules):.2f} s each)"]
        shown += [f"{count:>8} {name}" for name, count in sorted(self.counts.items())]
        shown += [f"{self.violations[kind]:>8} {kind}" for kind in KINDS]
        if self.ended:
            shown.append(f"ended by itself in seeds: {' '.join(map(str, sorted(self.ended)))}")
        if self.failed:
            shown.append(f"failed seeds: {' '.join(map(str, sorted(self.failed)))}")
        return shown
