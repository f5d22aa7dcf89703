"""Which entries of a work stream its reader has not acknowledged: the registrations that still count.

Reads Redis, changes nothing. Used at start, to reserve again for approved orders that the order service has not taken,
and before a reservation is released.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from pms_common.contracts.bus.orders import AmendOrder, OrderWork, PlaceOrder, order_work

PAGE = 1_000


async def approved(redis: "Redis", streams: Iterable[str]) -> list[PlaceOrder]:
    """Orders that the order service has not acknowledged."""
    return [work for work in await _work(redis, streams) if isinstance(work, PlaceOrder)]


async def amending(redis: "Redis", streams: Iterable[str]) -> list[AmendOrder]:
    """Amendments that the order service has not acknowledged: it does once they have an outcome."""
    return [work for work in await _work(redis, streams) if isinstance(work, AmendOrder)]


async def _work(redis: "Redis", streams: Iterable[str]) -> list[OrderWork]:
    found: list[OrderWork] = []
    for stream in streams:
        for data in (await unconsumed(redis, stream, "orders")).values():
            try:
                found.append(order_work.decode(data))
            except msgspec.DecodeError:
                continue  # not ours to judge: the order service sends it to the dead stream
    return found


async def unconsumed(redis: "Redis", stream: str, group: str) -> dict[str, bytes]:
    """Data by entry id: delivered and not acknowledged, or not yet delivered."""
    last_delivered = await _last_delivered(redis, stream, group)
    if last_delivered is None:
        return await _range(redis, stream, "-", "+")
    entries = await _range(redis, stream, f"({last_delivered}", "+")
    for entry_id in await _pending(redis, stream, group):
        entries |= await _range(redis, stream, entry_id, entry_id)
    return entries


async def _last_delivered(redis: "Redis", stream: str, group: str) -> str | None:
    """Where the group stands; None where there is no such group."""
    try:
        groups: list[dict[str, Any]] = await redis.xinfo_groups(stream)
    except ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
    return next((_text(info["last-delivered-id"]) for info in groups if _text(info["name"]) == group), None)


async def _pending(redis: "Redis", stream: str, group: str) -> list[str]:
    ids: list[str] = []
    start = "-"
    while page := await redis.xpending_range(stream, group, min=start, max="+", count=PAGE):
        ids += [_text(item["message_id"]) for item in page]
        start = f"({ids[-1]}"
    return ids


async def _range(redis: "Redis", stream: str, start: str, end: str) -> dict[str, bytes]:
    entries: dict[str, bytes] = {}
    while True:
        page: Any = await redis.xrange(stream, min=start, max=end, count=PAGE)
        entries |= {entry_id.decode(): fields.get(b"data", b"") for entry_id, fields in page}
        if len(page) < PAGE:
            return entries
        start = f"({page[-1][0].decode()}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
