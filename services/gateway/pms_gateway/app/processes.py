"""The processes of all services, as their heartbeats tell.

Owns the newest beat of each, and the removal of those that have long been silent. Used by the GET routes.
"""

import asyncio
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from pms_common.clock import now_ms
from pms_common.contracts.bus.heartbeat import STALE_MS, Heartbeat
from pms_common.logging import get_logger
from pms_common.names import Names

log = get_logger(__name__)

PERIOD_S = 2.0
FORGOTTEN_MS = 3_600_000
"""A process that was silent for an hour will not be back under its name."""

_beat = msgspec.json.Decoder(Heartbeat)


class Processes:
    """Who is there, by service."""

    def __init__(self, client: redis.asyncio.Redis, names: Names) -> None:
        self._redis, self._key = client, names.heartbeats
        self._beats: list[Heartbeat] = []

    def of(self, service: str) -> list[Heartbeat]:
        """The processes of a service that were heard of lately, the leader first."""
        alive_since_ms = now_ms() - STALE_MS
        found = [beat for beat in self._beats if beat.service == service and beat.told_ms >= alive_since_ms]
        return sorted(found, key=lambda beat: (not beat.leads, beat.process))

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("heartbeats_unread", error=str(error))
            await asyncio.sleep(PERIOD_S)

    async def look(self) -> None:
        """Read the beats of all."""
        fields: dict[Any, Any] = await self._redis.hgetall(self._key)
        beats, gone = [], []
        for field, value in fields.items():
            try:
                beat = _beat.decode(value)
            except msgspec.MsgspecError:  # of another version, or not one at all: its writer will write again
                continue
            if beat.told_ms < now_ms() - FORGOTTEN_MS:
                gone.append(field)
            else:
                beats.append(beat)
        self._beats = beats
        if gone:
            await self._redis.hdel(self._key, *gone)
