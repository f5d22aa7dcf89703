"""Executions and cash flows older than the memory of booked ones: the database says whether they were booked.

Owns the doubts under way; the entry of each stays unacknowledged until it is answered. Used by the handlers, never on
the hot path: memory reaches back further than anything but a long outage.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from pms_common.logging import get_logger

log = get_logger(__name__)

MAX_BOOKED_HERE = 10_000
"""The newest ones: a commit takes no longer than so many doubts."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that may be booked already: `is_booked` asks the database, then one of the others is called."""

    key: Hashable
    is_booked: Callable[[], Awaitable[bool]]
    book: Callable[[], None]
    skip: Callable[[], None]


class Late:
    """Asks one after the other. Spawn `run`; it raises what keeps it from answering."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Doubt] = asyncio.Queue()  # bounded by the consumer's max_unacked
        self._booked_here: OrderedDict[Hashable, None] = OrderedDict()

    def ask(self, doubt: Doubt) -> None:
        """Have it booked or skipped as soon as the database has answered."""
        self._queue.put_nowait(doubt)

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            doubt = await self._queue.get()
            booked = doubt.key in self._booked_here or await doubt.is_booked()
            log.warning("late", key=doubt.key, booked=booked)
            if booked:
                doubt.skip()
            else:
                self._booked_here[doubt.key] = None  # until its commit the database cannot know it
                doubt.book()
            if len(self._booked_here) > MAX_BOOKED_HERE:
                self._booked_here.popitem(last=False)
