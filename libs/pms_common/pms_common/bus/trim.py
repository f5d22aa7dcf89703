"""Retention: what may be removed from which stream, in a slow task off the hot path.

Work streams keep an entry until every group of the fixed table has acknowledged it. Updates streams have a hard cap, in
entries and in memory; a group past it is told to `on_lost` (it recovers by snapshot and replay, having seen the gap).
Aged streams (`pms:dead`, `pms:events`, `pms:audit`) are kept by time. Nothing unacknowledged goes silently.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import redis.asyncio
from redis.exceptions import RedisError

from pms_common.bus.groups import GroupState, next_after, stream_state
from pms_common.bus.ids import ZERO, id_key
from pms_common.logging import get_logger
from pms_common.topology import Kind, Stream

log = get_logger(__name__)

PERIOD_S = 5.0
UPDATES_CAP = 100_000
"""Entries: about 40 MB where each carries one update."""
UPDATES_BYTES = 256 * 1024 * 1024
"""Where they carry many: a minute of a saturated system."""
DEAD_KEPT_MS = 7 * 24 * 3600 * 1000
EVENTS_KEPT_MS = 24 * 3600 * 1000
AUDIT_KEPT_MS = 365 * 24 * 3600 * 1000

OnLost = Callable[[str, str], None]
"""Told (stream, group)."""


class Trimmer:
    """Trims the streams it is given: work streams by their reader, updates streams by their writer."""

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        streams: Sequence[Stream],
        *,
        aged: Mapping[str, int] | None = None,
        on_lost: OnLost | None = None,
        updates_cap: int = UPDATES_CAP,
        updates_bytes: int = UPDATES_BYTES,
    ) -> None:
        self._client = client
        self._streams = streams
        self._aged = dict(aged or {})
        self._on_lost = on_lost
        self._cap, self._bytes = updates_cap, updates_bytes

    async def run(self) -> None:
        """Trim every few seconds until cancelled. A Redis that cannot be asked is asked again the next time."""
        while True:
            try:
                await self.trim()
            except (RedisError, OSError) as error:
                log.warning("trim_failed", error=str(error))
            await asyncio.sleep(PERIOD_S)

    async def trim(self) -> None:
        """Trim all streams once."""
        for stream in self._streams:
            if stream.kind is Kind.WORK:
                await self._trim_work(stream)
            else:
                await self._trim_updates(stream)
        if self._aged:
            seconds, _ = await self._client.time()
            for name, kept_ms in self._aged.items():
                await self._client.xtrim(name, minid=str(max(0, seconds * 1000 - kept_ms)), approximate=False)

    async def _trim_work(self, stream: Stream) -> None:
        state = await stream_state(self._client, stream.name, stream.groups)
        if len(state.groups) < len(stream.groups):  # one that never read needs all of it
            return
        needed = min((group.lowest_needed for group in state.groups.values()), key=id_key)
        if needed != ZERO:
            await self._client.xtrim(stream.name, minid=needed, approximate=True)

    async def _trim_updates(self, stream: Stream) -> None:
        state = await stream_state(self._client, stream.name, stream.groups)
        used = await self._client.memory_usage(stream.name) or 0
        cap = min(self._cap, state.length * self._bytes // used) if used > self._bytes else self._cap
        if state.length <= cap:
            return
        needed = {name: await self._first_needed(stream.name, group) for name, group in state.groups.items()}
        await self._client.xtrim(stream.name, maxlen=cap, approximate=False)
        first = await next_after(self._client, stream.name, ZERO)
        for name, entry_id in needed.items():
            if entry_id is not None and (first is None or id_key(entry_id) < id_key(first)):
                log.error("group_lost", stream=stream.name, group=name, needed=entry_id, first=first)
                if self._on_lost is not None:
                    self._on_lost(stream.name, name)

    async def _first_needed(self, stream: str, group: GroupState) -> str | None:
        if group.lowest_pending is not None:
            return group.lowest_pending
        return await next_after(self._client, stream, group.last_delivered)
