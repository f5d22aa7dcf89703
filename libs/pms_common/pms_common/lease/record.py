"""The record of a lease in Redis: a hash without an expiry, so that it still tells who had it and until when.

Owns the scripts. Every change compares first, and both happen at once in Redis; its own clock gives the end.
"""

import time
from typing import Any, NamedTuple

from redis.asyncio import Redis

from pms_common.lease.belief import TTL_S
from pms_common.lease.contest import RELEASED, Look, Record
from pms_common.lease.process import is_dead

_TTL_MS = int(TTL_S * 1000)
_HEAD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local held = redis.call('HMGET', KEYS[1], 'holder', 'until_ms', 'redis', 'process')
local function keep(holder, lasts_ms)
  local till = string.format('%.0f', now + lasts_ms)
  redis.call('HSET', KEYS[1], 'holder', holder, 'until_ms', till, 'redis', server)
end
"""
_LOOK = _HEAD + "return {string.format('%.0f', now), server, held[1], held[2], held[3], held[4]}"
# The record must be as it was seen, or already be ours: then an earlier answer was lost. And seen in this Redis: one
# that forgot, or a replica that took over, may have an old record again, whose holder has renewed it meanwhile.
_TAKE = (
    _HEAD
    + """
if held[1] ~= ARGV[1] then
  if (held[1] or '-') ~= ARGV[4] or (held[2] or '-') ~= ARGV[5] or server ~= ARGV[6] then return {0, server} end
  redis.call('HSET', KEYS[1], 'process', ARGV[3], 'since_ms', string.format('%.0f', now))
end
keep(ARGV[1], ARGV[2])
return {1, server}"""
)
_RENEW = (
    _HEAD
    + """
if not held[1] then return {-1, server} end
if held[1] ~= ARGV[1] then return {0, server} end
keep(ARGV[1], ARGV[2])
return {1, server}"""
)
_RELEASE = (
    _HEAD
    + """
if held[1] ~= ARGV[1] then return 0 end
keep(ARGV[2], 0)
return 1"""
)


class Seen(NamedTuple):
    """What a taker has seen, to be compared again in Redis."""

    holder: str
    until: str
    redis: str
    """Run id of the Redis that showed it."""


def nothing(redis: str) -> Seen:
    """No record."""
    return Seen("-", "-", redis)


class Store:
    """One lease in Redis. Every method raises redis-py's errors."""

    def __init__(self, redis: Redis, key: str, holder: str = "", process: str = "") -> None:
        """`holder` and `process` name who takes it; who only looks needs none."""
        self._redis = redis
        self._key = key
        self._holder = holder
        self._process = process

    async def look(self) -> tuple[Look, Seen]:
        """The record now."""
        looked: Any = await self._redis.eval_ro(_LOOK, 1, self._key)  # who only looks may not write
        now_ms, server, holder, until, redis, process = looked
        answered_s = time.monotonic()
        if holder is None:
            return Look(None, int(now_ms), server.decode(), answered_s), nothing(server.decode())
        record = Record(holder.decode(), int(until), redis.decode(), (process or b"").decode())
        dead = not record.released and is_dead(record.process)
        return Look(record, int(now_ms), server.decode(), answered_s, dead), Seen(
            record.holder, until.decode(), server.decode()
        )

    async def take(self, seen: Seen) -> tuple[bool, str]:
        """Become the holder, if the record is as it was seen; and which Redis says so."""
        taken, redis = await self._run(_TAKE, self._holder, _TTL_MS, self._process, *seen)
        return taken == 1, redis.decode()

    async def renew(self) -> tuple[bool | None, str]:
        """Whether the lease is ours for another TTL, None where there is no record at all; and which Redis says so."""
        kept, redis = await self._run(_RENEW, self._holder, _TTL_MS)
        return None if kept == -1 else kept == 1, redis.decode()

    async def release(self, idle: bool) -> None:
        """End the lease now; `idle` where nothing we sent is still under way, so that a successor need not wait."""
        await self._run(_RELEASE, self._holder, "" if idle else RELEASED + self._holder)

    async def _run(self, script: str, *arguments: str | int) -> Any:
        return await self._redis.eval(script, 1, self._key, *map(str, arguments))
