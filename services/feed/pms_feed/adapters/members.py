"""The records of the feeds that share the symbols, in one Redis hash: `pms:lease:feeds`.

Owns the scripts. Times in Redis are its own; what is told to this process are times of its monotonic clock. How far the
two clocks are apart is known up to the time an answer takes: another begins to count at the earliest that it may be, we
at the latest, so that a symbol that moves is never told by both.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from pms_common.clock import monotonic_ms
from pms_common.lease.process import describe, is_dead
from pms_feed.domain.shares import LIFE_MS, Member

FORGET_MS = 60_000
"""A record that is over for so long is removed."""

# ARGV: our name, the life of a record, what tells our process, how long to remember, whether we had a record, then
# names known to be dead. A record is "from until process". Who is alone counts at once; not who finds that its record
# was lost or is over: others may have lost theirs with it, or have its symbols. Nobody's begin lies more than a life
# ahead, also after the clock was set back. Answers the time and all records that are not over.
_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 6, #ARGV do redis.call('HDEL', KEYS[1], ARGV[at]) end
local found, answer, from, others = redis.call('HGETALL', KEYS[1]), {string.format('%.0f', now)}, nil, false
for at = 1, #found, 2 do
  local began, ends = string.match(found[at + 1], '^(%d+) (%d+) ')
  if found[at] == ARGV[1] then
    if tonumber(ends) > now then from = began end
  elseif tonumber(ends) > now then
    others = true
    answer[#answer + 1] = found[at]
    answer[#answer + 1] = found[at + 1]
  elseif tonumber(ends) + tonumber(ARGV[4]) < now then
    redis.call('HDEL', KEYS[1], found[at])
  end
end
if not others and (from or ARGV[5] == '0') then from = '0' end
if not from or tonumber(from) > now + ARGV[2] then from = string.format('%.0f', now + ARGV[2]) end
local ours = from .. ' ' .. string.format('%.0f', now + ARGV[2]) .. ' ' .. ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], ours)
answer[#answer + 1] = ARGV[1]
answer[#answer + 1] = ours
return answer
"""


class Members:
    """The records, and ours among them. Every method raises redis-py's errors."""

    def __init__(self, redis: Redis, key: str) -> None:
        self.name = secrets.token_hex(8)
        self._redis = redis
        self._key = key
        self._process = describe()
        self._recorded = 0

    async def renew(self) -> list[Member]:
        """Renew our record; all that are not over. Those whose process is known to have ended are removed first."""
        records, dead = await self._renew(())
        if dead:
            records, _ = await self._renew(dead)
        return records

    async def _renew(self, dead: Sequence[str]) -> tuple[list[Member], list[str]]:
        words = (self.name, LIFE_MS, self._process, FORGET_MS, self._recorded, *dead)
        asked_ms = monotonic_ms()
        told: list[Any] = await self._redis.eval(_RENEW, 1, self._key, *map(str, words))
        least_ms, most_ms = asked_ms - int(told[0]), monotonic_ms() - int(told[0])
        self._recorded = 1
        living, ended = [], []
        for name, record in zip(told[1::2], told[2::2], strict=True):
            from_ms, until_ms, process = record.decode().split(" ", 2)
            if is_dead(process):
                ended.append(name.decode())
            else:
                ahead_ms = most_ms if name.decode() == self.name else least_ms
                living.append(Member(name.decode(), int(from_ms) and int(from_ms) + ahead_ms, int(until_ms)))
        return living, ended

    async def leave(self) -> None:
        """Remove our record, so that the others need not wait for its end."""
        await self._redis.hdel(self._key, self.name)
