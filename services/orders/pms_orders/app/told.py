"""What the last writer told and did not live to journal, read from its own updates stream.

Readers have heard it, so a successor that knew only the journal would tell them less for a moment: that an order is
unknown which is filled. It takes over what was told instead, and journals it. Used by the recovery and the manager.
"""

from typing import Any, cast

from redis.asyncio import Redis

from pms_common.bus import peek, updates_in
from pms_common.contracts.bus.orders import OrderUpdate
from pms_common.contracts.bus.streams import orders_updates
from pms_orders.adapters.journal import Journal
from pms_orders.domain.history import catch_up
from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Announce

PAGE = 2_000
BEFORE_MS = 5_000
"""How far the clock of Redis may be behind that of the machine whose journal it is compared with."""


class Told:
    """What was told of each order since the journal's last row, until somebody takes it over."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._updates: dict[str, list[OrderUpdate]] = {}

    async def read(self, redis: Redis, stream: str, journalled_ms: int) -> None:
        """Read it. As a reader does, it drops what a superseded writer has said after its successor."""
        begin, epoch = str(max(0, journalled_ms - BEFORE_MS)), 0
        while True:
            entries = cast("list[tuple[bytes, dict[bytes, Any]]]", await redis.xrange(stream, min=begin, count=PAGE))
            for update in (update for _, fields in entries for update in updates_in(fields)):
                tag, writer, _ = peek(update)
                if tag == b"order" and writer >= epoch:
                    told = cast("OrderUpdate", orders_updates.decode(update))
                    self._updates.setdefault(told.order.client_order_id, []).append(told)
                epoch = max(epoch, writer)
            if len(entries) < PAGE:
                return
            begin = "(" + entries[-1][0].decode()

    def take_over(self, order: OrderState) -> bool:
        """Bring the order to where it was told to be, and journal how it came there; whether there was anything."""
        news = False
        for told in self._updates.pop(order.client_order_id, ()):
            if catch_up(order, told):
                news = True
                again = Announce(told.key, told.cause, told.event_ms, told.fill, told.reason)
                self._journal.happened(order, [again])
        return news
