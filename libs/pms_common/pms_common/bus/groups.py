"""Where the groups of a stream stand, as Redis tells it. Read-only; used by trimming and by the lag metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from redis.exceptions import ResponseError

from pms_common.bus.ids import ZERO, id_key


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group. `lag` is None where Redis cannot tell (after a deletion inside the stream)."""

    pending: int
    lag: int | None
    last_delivered: str
    lowest_pending: str | None

    @property
    def lowest_needed(self) -> str:
        """Entries with a lower id are delivered and acknowledged."""
        if self.lowest_pending is None:
            return self.last_delivered
        return min(self.lowest_pending, self.last_delivered, key=id_key)


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream; `groups` has those that exist."""

    length: int
    groups: dict[str, GroupState]


async def stream_state(client: "redis.asyncio.Redis", stream: str, groups: Sequence[str]) -> StreamState:
    """Where these groups stand, all at one instant."""
    (state,) = await stream_states(client, [(stream, groups)])
    return state


async def stream_states(
    client: "redis.asyncio.Redis", streams: Sequence[tuple[str, Sequence[str]]]
) -> list[StreamState]:
    """Where the groups of several streams stand, all at one instant and in one round trip."""
    pipe = client.pipeline(transaction=True)
    for stream, groups in streams:
        pipe.xlen(stream)
        pipe.xinfo_groups(stream)
        for group in groups:
            pipe.xpending(stream, group)
    replies = iter(await pipe.execute(raise_on_error=False))
    return [_state(next(replies), next(replies), {group: next(replies) for group in groups}) for _, groups in streams]


def _state(length: Any, infos: Any, pendings: dict[str, Any]) -> StreamState:
    if isinstance(length, Exception):
        raise length
    if isinstance(infos, ResponseError):  # no such key
        return StreamState(0, {})
    by_name = {_text(info["name"]): info for info in infos}
    found = {group: _group(by_name[group], pending) for group, pending in pendings.items() if group in by_name}
    return StreamState(length, found)


async def next_after(client: "redis.asyncio.Redis", stream: str, entry_id: str) -> str | None:
    """The id of the first entry after `entry_id`."""
    entries = await client.xrange(stream, min=f"({entry_id}" if entry_id != ZERO else "-", count=1)
    return _text(entries[0][0]) if entries else None


def _group(info: dict[str, object], pending: dict[str, object]) -> GroupState:
    lowest = pending["min"]
    lag = info.get("lag")
    return GroupState(
        pending=int(str(pending["pending"])),
        lag=lag if isinstance(lag, int) else None,
        last_delivered=_text(info["last-delivered-id"]),
        lowest_pending=None if lowest is None else _text(lowest),
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
