"""The counts and bans of one IP address (and of an exchange account) in Redis: `pms:rate:*`.

Owns those keys. Every process of an address spends at once, from its own `Window`s, and a task writes behind: each
50 ms, where something was spent, one script adds it and brings back what all have used and how long the address is
banned. Nothing waits for Redis on the way of an order. This was chosen over leased slices: a lease that is not used up
is lost to the others for a whole window, and cancels, which are what must never wait, are rare and come in storms. What
it costs: between two writes a process does not know what others have just used. So each may have at most `credit`
unreported, 5 % of the limit, and nobody but cancels may use the last quarter.

While Redis is away, or was never reached, a process keeps to its fixed share of the limit: the shares of all processes
on an address are to stay below 1 (feed 0.15, orders 0.4: two cells and their feed).

Times are Redis' own, told as ages, so that the processes' clocks do not matter. Used by the order service and the feed.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms_common.clock import monotonic_ms
from pms_common.logging import get_logger
from pms_common.rate.window import SLICES, Window
from pms_common.settings import Settings

log = get_logger(__name__)

WRITE_EVERY_S = 0.05
LOOK_EVERY_MS = 250
"""How soon a process that spends nothing hears of a ban."""
AWAY_AFTER_MS = 2_000
ANSWER_WITHIN_S = 1.0

# KEYS: the ban, then a hash per window (slice -> count). ARGV: how long the caller knows of a ban (ms), then per window
# its slice (ms) and what was spent. Answers: how much longer the ban lasts (ms), then per window [age, count, ...].
_EXCHANGE = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ban, known = math.max(redis.call('PTTL', KEYS[1]), 0), tonumber(ARGV[1])
if known > ban then
  redis.call('SET', KEYS[1], '1', 'PX', known)
  ban = known
end
local answer = {{ban}}
for at = 2, #KEYS do
  local span, spent = tonumber(ARGV[at * 2 - 2]), tonumber(ARGV[at * 2 - 1])
  local slice = math.floor(now / span)
  if spent > 0 then
    redis.call('HINCRBY', KEYS[at], slice, spent)
    redis.call('PEXPIRE', KEYS[at], span * {SLICES + 2})
  end
  local found, kept = redis.call('HGETALL', KEYS[at]), {{}}
  for field = 1, #found, 2 do
    local begin = tonumber(found[field])
    if begin < slice - {SLICES + 1} then
      redis.call('HDEL', KEYS[at], found[field])
    else
      kept[#kept + 1] = now - begin * span
      kept[#kept + 1] = tonumber(found[field + 1])
    end
  end
  answer[at] = kept
end
return answer
"""


def rate_address(settings: Settings) -> str:
    """The name of the IP address at the venue, under which its processes share their counts."""
    return f"{urlsplit(settings.binance_rest_url).netloc}/{settings.rate_address}"


class Bans(Protocol):
    """Who keeps away while the address is banned; times of the monotonic clock."""

    blocked_until_ms: int

    def block(self, until_ms: int) -> None:
        """Keep away until then."""
        ...


class SharedRate:
    """Writes windows and bans to Redis and reads them back. `sync` once before the first request, then spawn `run`."""

    def __init__(self, redis: Redis, ban_key: str, windows: Mapping[str, Window], bans: Bans, away: float) -> None:
        """`windows` by their key; `away`: this process' share of the limits while Redis is away."""
        self._redis = redis
        self._keys = [ban_key, *windows]
        self._windows = list(windows.values())
        self._bans = bans
        self._away = away
        self._synced_ms: int | None = None
        self._lend(away)

    async def run(self) -> None:
        """Write and look until cancelled."""
        looked_ms = 0
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            now_ms = monotonic_ms()
            if now_ms - looked_ms >= LOOK_EVERY_MS or any(window.unreported for window in self._windows):
                looked_ms = now_ms
                await self.sync()

    async def sync(self) -> bool:
        """Exchange once; whether Redis has answered."""
        now_ms = monotonic_ms()
        words: list[int] = [max(0, self._bans.blocked_until_ms - now_ms)]
        for window in self._windows:
            words += (window.slice_ms, window.report())
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = await self._redis.eval(_EXCHANGE, len(self._keys), *self._keys, *words)
        except (RedisError, OSError, TimeoutError) as error:
            for window in self._windows:
                window.unconfirmed()
            self._missed(error)
            return False
        self._learn(cast("list[Any]", answer), monotonic_ms())
        return True

    def _learn(self, answer: list[Any], now_ms: int) -> None:
        if answer[0] > 0:
            self._bans.block(now_ms + answer[0])
        for window, told in zip(self._windows, answer[1:], strict=True):
            ages = zip(told[::2], told[1::2], strict=True)
            window.confirm(sorted((now_ms - age, count) for age, count in ages))
        if self._synced_ms is None or self._windows[0].portion != 1.0:
            self._lend(1.0)
        self._synced_ms = now_ms

    def _missed(self, error: Exception) -> None:
        away = self._synced_ms is None or monotonic_ms() - self._synced_ms > AWAY_AFTER_MS
        if away and self._windows[0].portion == 1.0:
            log.warning("shared_rate_away", error=f"{type(error).__name__} {error}")
            self._lend(self._away)

    def _lend(self, portion: float) -> None:
        for window in self._windows:
            if window.credit:  # others use it, too
                window.portion = portion
