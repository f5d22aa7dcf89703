"""The stream of watch leases, `pms:bus:watch`: read whole by every feed, kept by one of them.

Owns the reading, and for the keeper the place of the group `feed`, below which the stream is trimmed: just before the
oldest lease that holds. So a feed that starts reads every lease there is, whoever had read it before.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from redis.exceptions import RedisError, ResponseError

from pms_common.bus import Bus, Malformed
from pms_common.bus.handling import dead_letter
from pms_common.bus.ids import ZERO, id_key
from pms_common.logging import get_logger

log = get_logger(__name__)

GROUP = "feed"
BLOCK_MS = 500
COUNT = 1_000
AGAIN_S = 0.5
MAX_MALFORMED = 1_000
_LAST_SEQUENCE = 2**64 - 1


class Hearing(Protocol):
    """Who takes the leases."""

    @property
    def keeper(self) -> bool:
        """Whether this process keeps the stream."""

    def on_lease(self, entry_id: str, data: bytes) -> None:
        """Take a lease. Raises `Malformed`."""

    def oldest_lease(self) -> str | None:
        """The entry of the oldest lease that holds."""


class WatchStream:
    """Reads from the beginning on, as long as `run` runs."""

    def __init__(self, bus: Bus, stream: str, hearing: Hearing, ready: Callable[[str, bool, str], None]) -> None:
        self._bus = bus
        self._stream = stream
        self._hearing = hearing
        self._ready = ready
        ready("leases", False, "starting")
        self._last = ZERO
        self._malformed: dict[str, tuple[str, bytes]] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._read()
                if self._hearing.keeper:
                    await self._keep()
            except (RedisError, OSError) as error:
                self._ready("leases", False, str(error) or type(error).__name__)
                await asyncio.sleep(AGAIN_S)

    async def _read(self) -> None:
        got: Any = await self._bus.redis.xread({self._stream: self._last}, count=COUNT, block=BLOCK_MS)
        self._ready("leases", True, "")
        if not got and await self._lost():
            self._last = ZERO
        for _, entries in got or ():
            for raw_id, fields in entries:
                self._last = raw_id.decode()
                self._take(self._last, fields.get(b"data", b""))

    async def _lost(self) -> bool:
        """Whether the stream ends before what was read of it: it was lost, and its new ids come of a clock behind."""
        newest: Any = await self._bus.redis.xrevrange(self._stream, count=1)
        return bool(newest) and id_key(newest[0][0].decode()) < id_key(self._last)

    def _take(self, entry_id: str, data: bytes) -> None:
        try:
            self._hearing.on_lease(entry_id, data)
        except Malformed as error:
            self._malformed[entry_id] = str(error), data
            if len(self._malformed) > MAX_MALFORMED:
                del self._malformed[next(iter(self._malformed))]

    async def _keep(self) -> None:
        """Put aside what nobody understands, unless another keeper has; let go what no lease needs."""
        for entry_id, (why, data) in list(self._malformed.items()):
            if await self._bus.redis.xrange(self._stream, entry_id, entry_id):
                dead_letter(self._bus.outbox, self._bus.names.dead, self._stream, entry_id, why, 1, data)
                self._bus.outbox.command("XDEL", self._stream, entry_id)
            self._malformed.pop(entry_id, None)
        oldest = self._hearing.oldest_lease()
        await self._place(_before(oldest) if oldest is not None else self._last)

    async def _place(self, place: str) -> None:
        """Each time, also where it has not moved: Redis may have lost the group."""
        try:
            await self._bus.redis.xgroup_setid(self._stream, GROUP, place)
        except ResponseError:  # there is no such stream or group
            await self._bus.redis.xgroup_create(self._stream, GROUP, place, mkstream=True)


def _before(entry_id: str) -> str:
    """The id just below."""
    ms, sequence = id_key(entry_id)
    return f"{ms}-{sequence - 1}" if sequence else f"{ms - 1}-{_LAST_SEQUENCE}"
