"""How much REST weight the feed may use, so that the order service keeps its own.

Owns the arithmetic of the allowance and of bans; reads no clock (times are monotonic). Used by `adapters.rest`.
"""

import re

from pms_common.rate.window import Window

WEIGHT_PER_MINUTE = 600
"""A quarter of the venue's 2,400 a minute and address."""
BURST = 200
ADDRESS_SHARE = 0.5
"""Once everybody on the address has used this part of its weight, the feed waits: orders need what is left."""
LOOK_AGAIN_MS = 250
SHORTEST_BAN_MS = {418: 120_000, 429: 60_000}
"""By HTTP status, where the venue does not say until when: its shortest ban, and the window of the weight."""
_BANNED_UNTIL = re.compile(rb"banned until (\d{13})")


def ban_ms(status: int, retry_after: str, body: bytes, venue_ms: int) -> int:
    """How long nothing may be asked for: as the header (seconds) or the text tells, whichever is longer; 0: no ban."""
    if status not in SHORTEST_BAN_MS:
        return 0
    until = _BANNED_UNTIL.search(body)
    told_ms = int(retry_after) * 1_000 if retry_after.isdecimal() else 0
    return max(told_ms, int(until[1]) - venue_ms if until else 0) or SHORTEST_BAN_MS[status]


class WeightBudget:
    """A token bucket over REST weight, inside what the address has left; empty while the venue bans us."""

    def __init__(self, address: Window, per_minute: int = WEIGHT_PER_MINUTE, burst: int = BURST) -> None:
        self._address = address
        self._per_ms = per_minute / 60_000
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_ms = 0
        self.blocked_until_ms = 0

    def take(self, weight: int, now_ms: int) -> int:
        """Take the weight and return 0, or leave it and return the milliseconds to wait before asking again."""
        if now_ms < self.blocked_until_ms:
            return self.blocked_until_ms - now_ms
        if self._address.room(now_ms, ADDRESS_SHARE) < weight:
            return LOOK_AGAIN_MS
        self._tokens = min(self._burst, self._tokens + max(0, now_ms - self._filled_ms) * self._per_ms)
        self._filled_ms = now_ms
        if self._tokens >= weight:
            self._tokens -= weight
            self._address.take(now_ms, weight)
            return 0
        return int((weight - self._tokens) / self._per_ms) + 1

    def block(self, until_ms: int) -> None:
        """Ask nothing before that time (HTTP 418 and 429 with Retry-After, told to this process or to another)."""
        self.blocked_until_ms = max(self.blocked_until_ms, until_ms)
