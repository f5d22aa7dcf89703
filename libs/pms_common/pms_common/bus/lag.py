"""Length, pending, lag and age of every stream and group, sampled by a slow task; and which work streams are full.

Owns the gauges `pms_stream_*` and the verdict `overloaded`, by which services refuse new risk (`INFRA_OVERLOADED`).
Each stream has its own bound, so cancels and closes on theirs pass while trades are refused.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

import redis.asyncio
from redis.exceptions import RedisError

from pms_common.bus.groups import GroupState, StreamState, next_after, stream_states
from pms_common.bus.ids import id_ms
from pms_common.logging import get_logger
from pms_common.metrics import gauge
from pms_common.topology import Kind, Stream

log = get_logger(__name__)

PERIOD_S = 1.0
AT_ONCE = 10
"""Streams asked about in one round trip: about a millisecond of work."""
WORK_BOUND = 10_000
"""Entries of a work stream not acknowledged: about a second of a saturated system."""

_length = gauge("stream_length", "Entries in a stream", ["stream"])
_pending = gauge("stream_pending", "Entries delivered to a group and not acknowledged", ["stream", "group"])
_lag = gauge("stream_lag", "Entries not yet delivered to a group", ["stream", "group"])
_oldest = gauge("stream_oldest_seconds", "Age of a group's oldest unacknowledged entry", ["stream", "group"])


class LagSampler:
    """Samples the streams it is given."""

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        streams: Sequence[Stream],
        *,
        bounds: Mapping[str, int] | None = None,
    ) -> None:
        self._client = client
        self._streams = streams
        self._bounds = dict(bounds or {})
        self._overloaded: set[str] = set()

    def overloaded(self, stream: str) -> bool:
        """Whether a work stream had more unacknowledged entries than its bound when last sampled."""
        return stream in self._overloaded

    async def run(self) -> None:
        """Sample each stream about once a second until cancelled."""
        while True:
            try:
                await self.sample(PERIOD_S * AT_ONCE / max(AT_ONCE, len(self._streams)))
            except (RedisError, OSError) as error:
                log.warning("lag_sample_failed", error=str(error))
                await asyncio.sleep(PERIOD_S)

    async def sample(self, pause_s: float = 0.0) -> None:
        """Sample all streams once, some at a time with a pause after them, so that trading does not wait for it."""
        for start in range(0, len(self._streams), AT_ONCE):
            some = self._streams[start : start + AT_ONCE]
            states = await stream_states(self._client, [(stream.name, stream.groups) for stream in some])
            for stream, state in zip(some, states, strict=True):
                await self._tell(stream, state)
                self._judge(stream, state)
            await asyncio.sleep(pause_s)

    async def _tell(self, stream: Stream, state: StreamState) -> None:
        _length.labels(stream.name).set(state.length)
        for name, group in state.groups.items():
            _pending.labels(stream.name, name).set(group.pending)
            _lag.labels(stream.name, name).set(_undelivered(state, group))
            oldest = group.lowest_pending
            if oldest is None and _undelivered(state, group):
                oldest = await next_after(self._client, stream.name, group.last_delivered)
            age_s = 0.0 if oldest is None else max(0.0, time.time() - id_ms(oldest) / 1000)
            _oldest.labels(stream.name, name).set(age_s)

    def _judge(self, stream: Stream, state: StreamState) -> None:
        if stream.kind is not Kind.WORK:
            return
        backlogs = [group.pending + _undelivered(state, group) for group in state.groups.values()]
        if len(backlogs) < len(stream.groups):
            backlogs.append(state.length)
        if max(backlogs, default=0) > self._bounds.get(stream.name, WORK_BOUND):
            self._overloaded.add(stream.name)
        else:
            self._overloaded.discard(stream.name)


def _undelivered(state: StreamState, group: GroupState) -> int:
    # Where Redis cannot tell, all that may still be undelivered counts.
    return state.length if group.lag is None else group.lag
