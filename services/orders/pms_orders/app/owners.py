"""Whose an order is that is not in memory: the journal knows, or a request that nobody has read yet.

Owns the asking of both. Never decides what follows. Used by what looks at foreign orders.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_orders.adapters.recall import known_orders
from pms_orders.domain.order import OrderState

PAGE = 1_000


class _Named(msgspec.Struct):
    """A request, and the order it leads to: its own, or the one that follows what cannot be amended."""

    t: str = ""
    client_order_id: str = ""
    replace_as: str = ""

    @property
    def placed(self) -> str:
        return self.client_order_id if self.t == "place" else self.replace_as


_named = msgspec.json.Decoder(_Named)


@dataclass(frozen=True, slots=True)
class Found:
    """`orders` are in the journal; `requested` are ids of requests that will be read."""

    orders: list[OrderState]
    requested: set[str]


class Owners:
    """Looks orders up outside the memory."""

    def __init__(self, engine: AsyncEngine, redis: Redis, streams: Sequence[str]) -> None:
        self._engine = engine
        self._redis = redis
        self._streams = streams

    async def look_up(self, names: Collection[str], numbers: Collection[int] = ()) -> Found:
        """Orders by client order id or by exchange order id. Raises database and Redis errors."""
        orders = await known_orders(self._engine, list(names), list(numbers))
        left = set(names) - {order.client_order_id for order in orders}
        return Found(orders, await self._requested(left) if left else set())

    async def _requested(self, names: set[str]) -> set[str]:
        """Those of the ids for which a request lies in a stream: entries stay until they are in the journal."""
        found: set[str] = set()
        for stream in self._streams:
            after = "-"
            while page := await self._redis.xrange(stream, min=after, count=PAGE):
                entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", page)
                found |= names & {_named.decode(fields.get(b"data", b"{}")).placed for _, fields in entries}
                after = f"({entries[-1][0].decode()}"
        return found
