"""Reservations of approved orders that no service knows: they are found and released, for as long as risk lives.

An order is lost when Redis loses it with its last second, or when it was asked for again after its end and nobody tells
the end twice. Owns the proof: approved long ago, no word of it, not among the orders that wait to be taken, and not in
a snapshot that the order service was asked for after all that. One of a close goes out anew. Used by `main`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from redis.exceptions import RedisError

from pms_common.bus import Outbox
from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.logging import get_logger
from pms_risk.app.closings import Closings
from pms_risk.app.state import RiskState
from pms_risk.app.updates import OrdersUpdates
from pms_risk.domain.orders import LiveOrder

log = get_logger(__name__)

SWEEP_S = 5.0
SILENT_MS = 15_000
"""Silence after which an order is asked about: longer than one waits for its turn at the exchange."""

Waiting = Callable[[], Awaitable[Iterable[PlaceOrder]]]
"""The approved orders that the order service has not acknowledged."""


class LostOrders:
    """Looks regularly. Spawn `run`."""

    def __init__(
        self, state: RiskState, outbox: Outbox, updates: OrdersUpdates, closings: Closings, waiting: Waiting
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._updates = updates
        self._closings = closings
        self._waiting = waiting

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
            except (RedisError, OSError) as error:
                log.warning("sweep_failed", error=str(error))

    async def sweep(self) -> None:
        """Release what is lost. An unanswered question for a snapshot is asked again, whoever asked it."""
        await self._updates.answered()
        silent = self._silent()
        if not silent:
            return
        await self._outbox.flush()  # what was approved before is in Redis, or has been there
        there = {placed.client_order_id for placed in await self._waiting()}
        silent = [order for order in silent if order.client_order_id not in there]
        if not silent:
            return
        await self._updates.hear()
        for order in silent:
            account = self._state.books.accounts.get(order.account_id)
            if account is not None and order.view is None and account.orders.get(order.client_order_id) is order:
                log.warning("reservation_released", client_order_id=order.client_order_id)
                account.drop_order(order.client_order_id)
                self._closings.lost(order)

    def _silent(self) -> list[LiveOrder]:
        before_ms = self._state.now_ms() - SILENT_MS
        return [
            order
            for account in self._state.books.accounts.values()
            for order in account.orders.values()
            if order.view is None and order.approved_ms < before_ms
        ]
