"""Executions older than the memory of booked ones: the database says whether they were booked.

Owns the questions under way; each fill's entry stays unacknowledged until it is answered. Used by the order feed, never
on its hot path: memory reaches back further than anything but a long outage.
"""

import asyncio
from collections.abc import Callable

from pms_common.bus import Entry
from pms_common.contracts.bus.orders import OrderUpdate
from pms_common.logging import get_logger
from pms_risk.adapters.postgres.store import Store
from pms_risk.domain.books import fill_key
from pms_risk.domain.fills import FillKey

log = get_logger(__name__)

Then = Callable[[OrderUpdate, Entry], None]


class LateFills:
    """Asks one after the other. Spawn `run`; it raises what keeps it from answering."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: asyncio.Queue[tuple[OrderUpdate, Entry]] = asyncio.Queue()  # bounded by the consumer's max_unacked
        self._booked_here: set[FillKey] = set()
        self.book: Then
        self.skip: Then

    def ask(self, update: OrderUpdate, entry: Entry) -> None:
        """Have the fill booked or skipped as soon as the database has answered."""
        self._queue.put_nowait((update, entry))

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            update, entry = await self._queue.get()
            assert update.fill is not None
            key = fill_key(update.order, update.fill)
            booked = key in self._booked_here or await self._store.is_booked(key)
            log.warning("late_fill", symbol=key[0], trade_id=key[1], booked=booked)
            if booked:
                self.skip(update, entry)
            else:
                self._booked_here.add(key)  # until its commit the database cannot know it
                self.book(update, entry)
            if self._queue.empty() and len(self._booked_here) > 10_000:
                self._booked_here.clear()
