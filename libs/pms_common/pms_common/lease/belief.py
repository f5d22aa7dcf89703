"""How long a process may believe that it holds its lease: pure, the clocks are passed in.

A confirmation counts from the instant at which it was asked for, however late its answer came. Both clocks have to
agree that it is young: the monotonic one does not count while a machine is suspended, the wall clock may be stepped.
What either of them finds old, or from the future, is not believed; the next confirmation, moments later, is.
"""

from typing import NamedTuple

TTL_S = 1.5
"""Life of a confirmation. With the venue's recvWindow of 1 s, its clock's error (0.2 s) and a standby's look every
0.1 s a takeover takes 2.8 s."""
DRIFT_S = 0.05
"""The holder believes this much shorter: clocks that differ by 3 % (crystals: 0.01 %) still agree about the end."""


class Instant(NamedTuple):
    """One moment by both clocks of a process, in seconds."""

    monotonic_s: float
    wall_s: float


class Belief:
    """What the holder believes. `fence_s`: how long its last request may still be accepted after its belief has ended.

    `acts` costs a few comparisons.
    """

    __slots__ = ("_act_from_s", "_alone", "_fence_s", "_from_wall_s", "_redis", "_until_s", "_until_wall_s")

    def __init__(self, fence_s: float) -> None:
        self._fence_s = fence_s
        self._until_s = self._until_wall_s = self._from_wall_s = self._act_from_s = 0.0
        self._redis = ""
        self._alone = False

    def taken(self, asked: Instant, redis: str, act_from_s: float, *, alone: bool = False) -> None:
        """The lease became ours; its predecessor's last request cannot be accepted from `act_from_s` on.

        `alone`: we have seen nobody who held it, but Redis may have forgotten one.
        """
        self._act_from_s, self._alone = act_from_s, alone
        self._believe(asked, redis)

    def first_ever(self) -> None:
        """There is none whom Redis may have forgotten. For one who was seen this spares nothing: a new database, of
        which it is said, may stand beside a process that led with another."""
        if self._alone:
            self._act_from_s = 0.0

    def confirmed(self, asked: Instant, redis: str, now: Instant, *, renewed: bool = True) -> None:
        """The lease was ours when it was asked for at that instant, and stays so for its TTL.

        Where we had ceased to believe, somebody may have had it meanwhile, and a Redis that is another one, or had
        lost the record (not `renewed`), does not tell: then we act only when such a holder's last request is void.
        """
        if not self.holds(now) and (redis != self._redis or not renewed):
            self._act_from_s, self._alone = now.monotonic_s + TTL_S + self._fence_s, False
        self._believe(asked, redis)

    def _believe(self, asked: Instant, redis: str) -> None:
        self._redis = redis
        self._until_s = asked.monotonic_s + TTL_S - DRIFT_S
        self._from_wall_s = asked.wall_s
        self._until_wall_s = asked.wall_s + TTL_S - DRIFT_S

    def ended(self) -> None:
        """The lease is not ours."""
        self._until_s = 0.0

    def holds(self, now: Instant) -> bool:
        """Whether the lease is ours at this instant, beyond doubt."""
        return now.monotonic_s < self._until_s and self._from_wall_s <= now.wall_s < self._until_wall_s

    def acts(self, now: Instant) -> bool:
        """Whether the holder may act: the lease is its own, and nothing of a predecessor can happen any more."""
        return now.monotonic_s >= self._act_from_s and self.holds(now)

    def acts_for(self, now: Instant, seconds: float) -> bool:
        """Whether the holder may begin now what takes so long and cannot be called back."""
        return self.acts(now) and self.holds(Instant(now.monotonic_s + seconds, now.wall_s + seconds))

    def waits_s(self, now: Instant) -> float:
        """How long until it may act, should it hold the lease."""
        return max(0.0, self._act_from_s - now.monotonic_s)
