"""Keeps this feed's place among the feeds: renews its record and hears of the others.

Owns the rhythm. A feed that cannot renew tells nothing after its record's life (`domain.shares`), and goes on with its
sockets. Used by `main`; `app.watching` and `app.publisher` ask the shares.
"""

import asyncio
from collections.abc import Callable

from redis.exceptions import RedisError

from pms_common import metrics
from pms_common.clock import monotonic_ms
from pms_common.logging import get_logger
from pms_feed.adapters.members import Members
from pms_feed.domain.shares import Shares

log = get_logger(__name__)

RENEW_EVERY_S = 0.3
ANSWER_WITHIN_S = 0.5

_feeds = metrics.gauge("feed_members", "Feeds that share the symbols, this one among them")


class Sharing:
    """The record of this feed, renewed by `run`; `ready(part, ok, why)` hears whether it is."""

    def __init__(self, members: Members, shares: Shares, ready: Callable[[str, bool, str], None]) -> None:
        self._members = members
        self._shares = shares
        self._ready = ready
        self._leaving = False
        ready("share", False, "starting")

    async def run(self) -> None:
        """Renew until cancelled, or until the share is given back."""
        while not self._leaving:
            asked_ms = monotonic_ms()
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    members = await self._members.renew()
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                if not self._shares.believes(monotonic_ms()):
                    self._ready("share", False, f"Redis does not tell of the feeds: {error or type(error).__name__}")
            else:
                if self._leaving:
                    return
                self._shares.renewed(asked_ms, members, monotonic_ms())
                self._ready("share", True, "")
                _feeds.set(len(members))
            await asyncio.sleep(RENEW_EVERY_S)

    async def leave(self) -> None:
        """Give the symbols to the others now, and tell none of them any more."""
        self._leaving = True
        self._shares.resign()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._members.leave()
        except (RedisError, OSError) as error:  # the record ends by itself
            log.warning("share_not_given_back", error=str(error) or type(error).__name__)
