"""When a lease may be taken, and from when its new holder may act: pure, the clock is passed in.

Somebody who is seen renewing is over when nothing changed for a TTL by the observer's own clock, whatever the clock of
Redis says: it may be stepped, and a failover or a loss of data may bring back an older record or none. Only who has
never seen a change relies on the time Redis wrote, and only where it is still the Redis that wrote it.
"""

from dataclasses import dataclass

from pms_common.lease.belief import TTL_S

RELEASED = "released by "
UNSEEN_S = 1.0
"""No record is like no other: where nobody looked for so long, one may have come and gone."""


@dataclass(frozen=True, slots=True)
class Record:
    """The lease as Redis has it."""

    holder: str
    """A name that no two processes share; empty where it was released with nothing under way."""
    until_ms: int
    """By the clock of Redis."""
    redis: str
    """Run id of the Redis that wrote it."""
    process: str = ""
    """Where the holder runs, for people and for `process.is_dead`."""

    @property
    def idle(self) -> bool:
        """Whether its last holder gave it back, and nothing it sent is under way."""
        return not self.holder

    @property
    def released(self) -> bool:
        """Whether its last holder gave it back."""
        return self.idle or self.holder.startswith(RELEASED)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the record (None where there is none): it was so at some moment before `answered_s`."""

    record: Record | None
    redis_ms: int
    redis: str
    answered_s: float
    dead: bool = False
    """Whether the holder's process is known to have ended."""

    @property
    def certain(self) -> bool:
        """Whether no newer record can have been lost: this Redis wrote it itself."""
        return self.record is not None and self.record.redis == self.redis


class Contest:
    """What one process that wants the lease has seen of it. `fence_s` is how long a holder's last request may still be
    accepted after its belief has ended: for the exchange its recvWindow, 0 where epochs fence at once.
    """

    def __init__(self, fence_s: float) -> None:
        self._fence_s = fence_s
        self._last: Look | None = None
        self._changed = False
        self._since_s = 0.0

    def over(self, look: Look) -> bool:
        """Whether the lease may be taken, provided that the record is still as this look found it."""
        last, self._last = self._last, look
        unseen = look.record is None and last is not None and look.answered_s - last.answered_s > UNSEEN_S
        if last is None or unseen or (look.record, look.redis) != (last.record, last.redis):
            # of a record that vanished or was set back, its holder may have kept a newer one until a moment ago
            self._since_s = look.answered_s
            self._changed = last is not None
        return self.alone(look) or look.answered_s >= self._ended_s(look)

    def alone(self, look: Look) -> bool:
        """Whether nobody was seen who held the lease."""
        return look.record is None and not self._changed

    def act_from_s(self, look: Look, taken_s: float) -> float:
        """From when the taker of this look may act, by its monotonic clock; it was told at `taken_s` that it is one.

        No record may mean that nobody ever held the lease, or that Redis has lost it with its holder alive, who may
        have renewed it until then, even since the look: where nothing else fences that one, its belief and its last
        request are waited for (`Lease.first_ever` spares that).
        """
        record = look.record
        if record is None:
            return taken_s + (TTL_S + self._fence_s if self._fence_s else 0.0)
        if record.idle and look.certain:
            return look.answered_s
        return self._ended_s(look) + self._fence_s

    def _ended_s(self, look: Look) -> float:
        """When the holder's belief has ended at the latest."""
        record = look.record
        if record is None or not look.certain:
            return self._since_s + TTL_S
        if record.released or look.dead:
            return look.answered_s
        if self._changed:
            return self._since_s + TTL_S
        return min(self._since_s + TTL_S, look.answered_s + (record.until_ms - look.redis_ms) / 1000)
