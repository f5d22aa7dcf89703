"""Whether risk leads: while nobody judges margin and positions, no new risk is sent and no order moved.

Owns the look at risk's lease, one of the keys that services share. New orders and amendments wait in their lanes until
risk is back or their time is over; cancels and closes pass. Where risk has never led nobody has approved anything.
Spawn `run`.
"""

import asyncio
from collections.abc import Callable

from redis.exceptions import RedisError

from pms_common.lease.contest import Contest
from pms_common.lease.record import Store
from pms_common.logging import get_logger

log = get_logger(__name__)

LOOK_EVERY_S = 0.5
ANSWER_WITHIN_S = 1.0


class Supervision:
    """Tells `changed` when risk's lease has lapsed, and when somebody has it again."""

    def __init__(self, store: Store, changed: Callable[[bool], None]) -> None:
        self._store = store
        self._changed = changed
        self._contest = Contest(0.0)
        self._known = False
        self._led = True

    async def run(self) -> None:
        """Look until cancelled. A Redis that does not answer tells nothing about risk."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self.look()
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                log.warning("risk_lease_not_seen", error=str(error) or type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once. Raises redis-py's errors."""
        look, _ = await self._store.look()
        self._known = self._known or look.record is not None
        over = self._known and self._contest.over(look)
        led = not over and (self._led or look.record is not None)  # a record that Redis has lost is no new leader
        if led is not self._led:
            self._led = led
            log.warning("risk_leads" if led else "risk_has_no_leader")
            self._changed(led)
