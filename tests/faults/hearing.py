"""What the order service told: the updates stream, read to its end, as its readers take it.

Owns the reading and the fold of it: the newest state of each order, the executions by their key, the results of
requests. Judges nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Redis

from pms_common.bus import updates_in
from pms_common.contracts.bus.common import RequestDone
from pms_common.contracts.bus.exchange import ForeignOrder
from pms_common.contracts.bus.orders import ExchangeAccount, OrdersReady, OrderUpdate
from pms_common.contracts.bus.streams import orders_updates
from pms_common.names import Names


class Heard:
    """Everything told so far."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._stream = names.updates("orders")
        self._last = "0"
        self._reading = asyncio.Lock()
        self._epoch = 0
        self.ready = False
        self.orders: dict[str, OrderUpdate] = {}
        self.histories: defaultdict[str, list[OrderUpdate]] = defaultdict(list)
        self.fills: defaultdict[str, list[OrderUpdate]] = defaultdict(list)
        self.results: defaultdict[str, list[bytes]] = defaultdict(list)
        self.foreign: dict[str, str] = {}
        """Client order ids by key, of what was told as somebody else's."""
        self.by_key_alone = 0
        self.positions: dict[tuple[str, str], Any] = {}

    async def read(self, redis: Redis) -> None:
        """Read on to the end of the stream."""
        async with self._reading:
            entries: Any = await redis.xrange(self._stream, min=f"({self._last}")
            for entry_id, fields in entries:
                self._last = entry_id.decode()
                for update in updates_in(fields):
                    self._take(orders_updates.decode(update))

    async def read_results(self, redis: Redis, requests: Iterable[str]) -> None:
        """Read on, and the results of those requests whose result key is there and of which the stream does not tell.

        Both leave in one MULTI, so a key that was there before the stream was read to its end has its entry in it.
        """
        awaited = [request for request in requests if request not in self.results]
        bodies = [await redis.get(self._names.result(request)) for request in awaited]
        await self.read(redis)
        for request, body in zip(awaited, bodies, strict=True):
            if body is not None and request not in self.results:
                self.results[request].append(body)
                self.by_key_alone += 1

    def _take(self, update: Any) -> None:
        if update.epoch < self._epoch:
            return  # a reader drops what a superseded writer still says
        self._epoch = update.epoch
        if isinstance(update, OrderUpdate):
            name = update.order.client_order_id
            self.orders[name] = update
            self.histories[name].append(update)
            if update.fill is not None:
                self.fills[update.key].append(update)
        elif isinstance(update, RequestDone):
            self.results[update.request_id].append(bytes(update.body))
        elif isinstance(update, ForeignOrder):
            self.foreign[update.key] = update.client_order_id
        elif isinstance(update, OrdersReady):
            self.ready = update.ready
        elif isinstance(update, ExchangeAccount):
            if update.complete:
                self.positions.clear()
            for position in update.positions:
                self.positions[position.symbol, position.position_side] = position.quantity
