"""Whether a price is still the venue's, and whether a stream does its work.

Owns the limits and the rules; reads no clock. Used by `app.pulse` four times a second for each symbol.
A stream speaks only when something changes, and one that was asked for on a wrong route is acknowledged and silent.
So silence alone proves nothing: it is held against what the market does elsewhere (the symbol's other stream, the
venue's REST quote).
"""

from dataclasses import dataclass

from pms_common.contracts.bus.common import TickState

ALIVE_LIMIT_MS = 3_000
"""A price not confirmed for this long is no price (system.md, invariant 6)."""
PROBE_AFTER_MS = 2_500
"""Silence after which the venue's REST quote is compared."""
TRUST_MS = 6_000
"""How long a frame or an equal REST quote vouches for a silent stream on a connection that is itself alive."""
SILENT_MS = 2_000
"""A stream that says nothing for this long after the market moved is dead."""


@dataclass(slots=True)
class Liveness:
    """What vouches for one symbol's price. All times 0 until they happen."""

    agreed_ms: int = 0
    doubted_ms: int = 0
    alive_ms: int = 0

    def look(self, frame_ms: int, heard_ms: int) -> int:
        """The time at which the price was last known to be the venue's.

        `frame_ms` is the last frame that carried (or confirmed) L1, `heard_ms` the last sign of life of the
        connection, pongs included; 0 while it is down.
        """
        known_ms = max(frame_ms, self.agreed_ms)
        if known_ms and self.doubted_ms <= known_ms:
            self.alive_ms = max(self.alive_ms, known_ms, min(heard_ms, known_ms + TRUST_MS))
        return self.alive_ms

    def wants_probe(self, now_ms: int, frame_ms: int) -> bool:
        """Whether only a comparison with the venue's REST quote can tell."""
        return now_ms - max(frame_ms, self.agreed_ms) > PROBE_AFTER_MS

    def compared(self, asked_ms: int, equal: bool) -> None:
        """The REST quote asked for at that time was equal to ours, or not."""
        if equal:
            self.agreed_ms = max(self.agreed_ms, asked_ms)
        else:
            self.doubted_ms = asked_ms


@dataclass(slots=True)
class Silence:
    """Watches one stream for being silent while its market moves."""

    unanswered_ms: int = 0

    def dead(self, now_ms: int, frame_ms: int, moved_ms: int) -> bool:
        """Whether the market has moved (last at `moved_ms`) and the stream has not spoken for `SILENT_MS` since.

        Told once; a stream that stays silent is dead again after the same time.
        """
        if frame_ms >= self.unanswered_ms:
            self.unanswered_ms = 0
        if not self.unanswered_ms and moved_ms > frame_ms:
            self.unanswered_ms = now_ms
        if not self.unanswered_ms or now_ms - self.unanswered_ms <= SILENT_MS:
            return False
        self.unanswered_ms = now_ms
        return True


def tick_state(now_ms: int, alive_ms: int, *, halted: bool, confirmable: bool) -> TickState:
    """What a tick says of itself; `confirmable` is false while the connection or the only book is being restored."""
    if halted:
        return "halted"
    if now_ms - alive_ms <= ALIVE_LIMIT_MS:
        return "live"
    return "stale" if confirmable else "resyncing"
