"""What was told before is told again: executions to who asks, all of late to another incarnation of Redis.

Owns where the retelling begins and its pace. All of it comes from the journal and from memory, under the keys it had,
so that readers drop what they know. Used by the snapshots; spawn `run`.
"""

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.bus import Outbox
from pms_common.db import DATABASE_ERRORS
from pms_common.logging import get_logger
from pms_orders.adapters.journal import Journal
from pms_orders.adapters.recall import REPEAT_MS, changed_since, fills_since, orders_named
from pms_orders.app.publisher import Publisher
from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import told_fill
from pms_orders.domain.tracker import OrderTracker

log = get_logger(__name__)

CHUNK = 100
"""Updates between two turns of the event loop, and in one MULTI: about 2 ms of work."""
FLUSH_WITHIN_S = 10.0
WATCH_S = 0.5


class Retelling:
    """Tells again."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        journal: Journal,
        tracker: OrderTracker,
        publisher: Publisher,
        outbox: Outbox,
        now_ms: Callable[[], int],
        incarnation: Callable[[], str],
        hears: Callable[[], bool],
        on_lost: Callable[[int], None],
    ) -> None:
        """`on_lost` is told since when what was told may have been lost: what no journal has is asked for again."""
        self._engine = engine
        self._journal = journal
        self._tracker = tracker
        self._publisher = publisher
        self._outbox = outbox
        self._now_ms = now_ms
        self._incarnation = incarnation
        self._hears = hears
        self._on_lost = on_lost

    async def run(self) -> None:
        """Watch Redis until cancelled: what it was told while it was last connected, and before, it may have lost."""
        known, heard_ms = self._incarnation(), self._now_ms()
        while True:
            await asyncio.sleep(WATCH_S)
            current = self._incarnation()
            if known and current != known:
                try:
                    await self.tell_since(heard_ms - REPEAT_MS)
                except DATABASE_ERRORS as error:
                    log.warning("not_retold", error=str(error))
                    continue
                self._on_lost(heard_ms - REPEAT_MS)
            known = current
            if self._hears():
                heard_ms = self._now_ms()

    async def tell_since(self, since_ms: int) -> None:
        """Everything: the executions, then the state of each order that has changed. Raises `DATABASE_ERRORS`."""
        await self.settle()
        await self.fills(since_ms)
        changed = await changed_since(self._engine, since_ms)
        for start in range(0, len(changed), CHUNK):
            for order in (await self._orders(changed[start : start + CHUNK])).values():
                self._publisher.retell(order, [])
            await self.pause()
        log.warning("retold_to_another_redis", since_ms=since_ms, orders=len(changed))

    async def settle(self) -> None:
        """Have the journal hold all that was told so far. Raises TimeoutError where the database does not take it."""
        async with asyncio.timeout(FLUSH_WITHIN_S):
            await self._journal.flush()

    async def fills(self, since_ms: int, symbols: Sequence[str] | None = None) -> None:
        """The executions journalled since then, on some symbols or on all, each with its order as it is now.

        Raises `DATABASE_ERRORS`.
        """
        async for page in fills_since(self._engine, since_ms, CHUNK, symbols):
            orders = await self._orders([name for name, _ in page])
            for name, fill in page:
                self._publisher.repeat(orders[name], [told_fill(orders[name], fill)])
            await self.pause()

    async def _orders(self, names: list[str]) -> dict[str, OrderState]:
        """Orders as they are now, or as the journal has them."""
        known = {name: order for name in names if (order := self._tracker.find(name)) is not None}
        return known | await orders_named(self._engine, [name for name in names if name not in known])

    async def pause(self) -> None:
        """Let others in, and wait while Redis has more than enough to take."""
        await asyncio.sleep(0)
        await self._outbox.room()
