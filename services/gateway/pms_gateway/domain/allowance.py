"""How many requests each token may send: a bucket that fills at a steady pace.

Owns the buckets. Bounded by the names that ask, which are those of the token file. Used by the door's guard.
"""

from dataclasses import dataclass, field

PER_S = 50.0
"""A person's page asks a few times a second; a backend that sends more belongs on Redis."""
BURST = 100.0


@dataclass(slots=True)
class Allowance:
    """Buckets by name: how full each was, and when."""

    per_s: float = PER_S
    burst: float = BURST
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str, now_s: float) -> float:
        """Take one; 0, or the seconds until there is one again."""
        full, at_s = self._buckets.get(name, (self.burst, now_s))
        full = min(self.burst, full + (now_s - at_s) * self.per_s)
        if full < 1:
            self._buckets[name] = (full, now_s)
            return (1 - full) / self.per_s
        self._buckets[name] = (full - 1, now_s)
        return 0.0
