"""One process's lease: waits for it, renews it, knows at any instant whether it holds it, gives it back.

Owns the belief and the record's life. A lease that could not be renewed lapses: its holder stops acting and goes on
asking, because where nobody else took it, it is still its own. Where somebody did, `run` raises `LeaseLost`, and the
process is to end: what it remembers is the past of another's present.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms_common import metrics
from pms_common.lease.belief import Belief, Instant
from pms_common.lease.contest import Contest, Look
from pms_common.lease.process import describe
from pms_common.lease.record import Seen, Store, nothing
from pms_common.logging import get_logger

log = get_logger(__name__)

RENEW_EVERY_S = 0.3
LOOK_EVERY_S = 0.1
ANSWER_WITHIN_S = 0.5
"""A question that takes longer is asked again on another connection: two fit into the life of a confirmation."""

_held = metrics.gauge("lease_held", "1 where this process holds the lease of its role and may act", ["role"])
_lapses = metrics.counter("lease_lapses", "Times the lease could not be renewed in time", ["role"])


Change = Callable[[bool, str], None]


class LeaseLost(Exception):
    """Another process holds the lease: this one must do nothing more."""


def instant() -> Instant:
    """Now, by both clocks."""
    return Instant(time.monotonic(), time.time())


class Lease:
    """The lease of one role. `await acquire()`, then spawn `run`; `release` at the end.

    `fence_s`: see `Contest`.
    """

    def __init__(self, redis: Redis, key: str, role: str, fence_s: float = 0.0) -> None:
        self._role = role
        self._fence_s = fence_s
        self._store = Store(redis, key, secrets.token_hex(8), describe())
        self._belief = Belief(fence_s)
        self._told: bool | None = None
        self._released = False
        self._hearing: list[Change] = []
        self.on_renewed: Callable[[], None] = lambda: None
        """Called when `held_for` may be true again."""
        self.idle: Callable[[], bool] = lambda: True
        """Whether nothing that was sent is still under way: asked at `release`."""
        _held.labels(role).set_function(self.held)

    def held(self) -> bool:
        """Whether this process may act now: the lease is ours, and nothing of a predecessor can still happen."""
        return self._belief.acts(instant())

    def owned(self) -> bool:
        """Whether the lease is ours, although something of a predecessor may still happen at the exchange."""
        return self._belief.holds(instant())

    def held_for(self, seconds: float) -> bool:
        """Whether this process may begin now what takes so long and cannot be called back."""
        return self._belief.acts_for(instant(), seconds)

    def first_ever(self) -> None:
        """Nobody ever led before us, the epoch says: there is none whom Redis may have forgotten."""
        self._belief.first_ever()
        self._tell()

    def tell(self, change: Change) -> None:
        """Have `change(held, why)` called now, and whenever this process may act again or may not any more."""
        self._hearing.append(change)
        held = self.held()
        change(held, "" if held else self._why())

    async def acquire(self, waits: Callable[[str], None]) -> None:
        """Wait until the lease is ours. `waits(why)` hears who has it."""
        contest = Contest(self._fence_s)
        while True:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    look, seen = await self._store.look()
                if contest.over(look) and await self._take(contest, look, seen):
                    return
                waits(_who(look))
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                waits(f"Redis does not tell who leads: {error or type(error).__name__}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def run(self) -> None:
        """Keep the lease until cancelled. Raises `LeaseLost`."""
        while not self._released:
            self._tell()
            await asyncio.sleep(min(RENEW_EVERY_S, self._belief.waits_s(instant()) or RENEW_EVERY_S))
            try:
                await self._renew()
            except (RedisError, OSError) as error:
                log.warning("lease_not_renewed", role=self._role, error=str(error) or type(error).__name__)

    async def release(self) -> None:
        """Give it back. Where nothing we sent is still under way (`idle`), a successor need not wait."""
        self._released = True
        self._belief.ended()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._store.release(self.idle())
        except (RedisError, OSError) as error:  # it ends by itself
            log.warning("lease_not_released", role=self._role, error=str(error) or type(error).__name__)

    async def _take(self, contest: Contest, look: Look, seen: Seen) -> bool:
        asked = instant()
        async with asyncio.timeout(ANSWER_WITHIN_S):
            taken, redis = await self._store.take(seen)
        if taken:
            act_from_s = contest.act_from_s(look, time.monotonic())
            self._belief.taken(asked, redis, act_from_s, alone=contest.alone(look))
            acts_in_s = round(self._belief.waits_s(instant()), 3)
            log.info("lease_taken", role=self._role, acts_in_s=acts_in_s)
        return taken

    async def _renew(self) -> None:
        asked = instant()
        async with asyncio.timeout(ANSWER_WITHIN_S):
            kept, redis = await self._store.renew()
            if renewed := kept is not None:
                ours = bool(kept)
            else:
                log.warning("lease_record_lost", role=self._role)
                ours, redis = await self._store.take(nothing(redis))
        if self._released:
            return
        if ours:
            now = instant()
            if self._told and not self._belief.acts(now):  # who was held back meanwhile is to be told
                self._tell()
            self._belief.confirmed(asked, redis, now, renewed=renewed)
            self.on_renewed()
            return
        self._belief.ended()
        self._tell()
        raise LeaseLost(f"{self._role}: another process has taken the lease")

    def _tell(self) -> None:
        now = instant()
        held = self._belief.acts(now)
        if held is self._told:
            return
        if self._told:
            _lapses.labels(self._role).inc()
        self._told = held
        for change in self._hearing:
            change(held, "" if held else self._why())

    def _why(self) -> str:
        if self._belief.holds(instant()):
            return "waits until nothing of its predecessor can happen any more"
        return "the lease has lapsed"


def _who(look: Look) -> str:
    record = look.record
    host, _, rest = (record.process if record is not None else "").partition(" ")
    return f"standby: process {rest.partition(' ')[0]} on {host} leads" if host else "standby"
