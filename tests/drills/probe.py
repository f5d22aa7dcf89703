"""What of Redis' own acknowledgements an event takes back: writes to a stream beside the cell's.

Owns the stream and its writer. Used by the drills of Redis.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from redis.exceptions import RedisError
from tests.drills.cell import Cell

from pms_common.bus.dial import connected

PACE_S = 0.001
AGAIN_S = 0.05


class Probe:
    """Writes about a thousand entries a second, one after the other, and remembers those that were acknowledged."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._stream = f"{cell.names.namespace}:probe"
        self._acknowledged: dict[bytes, float] = {}
        self._ended = False

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator["Probe"]:
        """Write while the block lasts."""
        task = asyncio.create_task(self._write_on())
        try:
            yield self
        finally:
            self._ended = True  # a cancellation may be lost in redis-py
            await task

    async def _write_on(self) -> None:
        while not self._ended:
            try:
                async with connected(self._cell.redis_url, self._cell.names.namespace, socket_timeout=1.0) as client:
                    while not self._ended:
                        self._acknowledged[await client.xadd(self._stream, {"n": "1"})] = time.monotonic()
                        await asyncio.sleep(PACE_S)
            except (RedisError, OSError):
                await asyncio.sleep(AGAIN_S)

    async def lost(self, event_s: float) -> str:
        """How many acknowledged writes from before the event are gone, and how old the first of them was by then."""
        async with connected(self._cell.redis_url, self._cell.names.namespace) as client:
            kept = {entry_id for entry_id, _ in await client.xrange(self._stream)}
        before = {entry_id: at for entry_id, at in self._acknowledged.items() if at < event_s}
        gone = [event_s - at for entry_id, at in before.items() if entry_id not in kept]
        return f"{len(gone)} of {len(before)}" + (f", up to {max(gone) * 1000:.0f} ms old" if gone else "")
