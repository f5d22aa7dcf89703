"""Rate limits: request weight per IP address, order counts per account, 429 and 418.

Owns counters, windows and bans. Windows are aligned to the clock, as at the venue. Bounded: addresses whose window
has passed are forgotten when there are many.
"""

from dataclasses import dataclass

from pms_simulator.domain.errors import VenueError

MINUTE_MS = 60_000
TEN_SECONDS_MS = 10_000
BAN_AFTER = 20  # refused requests in one window until the address is banned
FIRST_BAN_MS = 120_000
LONGEST_BAN_MS = 3 * 24 * 3_600_000
MAX_ADDRESSES = 1_000


@dataclass(frozen=True, slots=True)
class LimitConfig:
    """The limits exchangeInfo announces."""

    weight_per_minute: int = 2_400
    orders_per_minute: int = 1_200
    orders_per_ten_seconds: int = 300


class Window:
    """A count in the current window of ``span_ms``."""

    __slots__ = ("_index", "_span", "_used")

    def __init__(self, span_ms: int) -> None:
        self._span = span_ms
        self._index = -1
        self._used = 0

    def used(self, now_ms: int) -> int:
        """The count so far."""
        return self._used if now_ms // self._span == self._index else 0

    def add(self, count: int, now_ms: int) -> int:
        """The count after adding."""
        index = now_ms // self._span
        if index != self._index:
            self._index, self._used = index, 0
        self._used += count
        return self._used

    def left_s(self, now_ms: int) -> int:
        """Seconds until the window rolls, at least 1."""
        return max(1, -(-(self._span - now_ms % self._span) // 1000))


class _Address:
    __slots__ = ("banned_until", "bans", "refused", "weight")

    def __init__(self) -> None:
        self.weight = Window(MINUTE_MS)
        self.refused = Window(MINUTE_MS)
        self.banned_until = 0
        self.bans = 0


class OrderCounts:
    """An account's two order windows."""

    __slots__ = ("minute", "ten_seconds")

    def __init__(self) -> None:
        self.ten_seconds = Window(TEN_SECONDS_MS)
        self.minute = Window(MINUTE_MS)


class Limits:
    """All counters of the venue."""

    def __init__(self, config: LimitConfig) -> None:
        self.config = config
        self._addresses: dict[str, _Address] = {}
        self._orders: dict[str, OrderCounts] = {}

    def spend(self, ip: str, weight: int, now_ms: int) -> int:
        """Count a request; the used weight. 429 beyond the limit, 418 while banned."""
        address = self._addresses.get(ip)
        if address is None:
            self._forget(now_ms)
            address = self._addresses[ip] = _Address()
        if address.banned_until > now_ms:
            raise self._banned(address, ip, now_ms)
        used = address.weight.add(weight, now_ms)
        limit = self.config.weight_per_minute
        if used <= limit:
            return used
        if address.refused.add(1, now_ms) >= BAN_AFTER:
            self.ban(ip, min(FIRST_BAN_MS << address.bans, LONGEST_BAN_MS), now_ms)
            raise self._banned(address, ip, now_ms)
        text = f"Too many requests; current limit of IP({ip}) is {limit} requests per minute. "
        text += "Please use the websocket for live updates to avoid polling the API."
        raise VenueError(-1003, text, 429, address.weight.left_s(now_ms))

    def ban(self, ip: str, span_ms: int, now_ms: int) -> None:
        """Refuse everything from ``ip`` for a time."""
        address = self._addresses.setdefault(ip, _Address())
        address.banned_until = now_ms + span_ms
        address.bans += 1

    def clear(self) -> None:
        """Nobody has used anything, and nobody is banned."""
        self._addresses.clear()
        self._orders.clear()

    def used_weight(self, ip: str, now_ms: int) -> int:
        """Weight of this minute."""
        address = self._addresses.get(ip)
        return address.weight.used(now_ms) if address else 0

    def counts(self, account: str) -> OrderCounts:
        """The order windows of an account."""
        counts = self._orders.get(account)
        if counts is None:
            counts = self._orders[account] = OrderCounts()
        return counts

    def count_orders(self, account: str, ten_seconds: int, minute: int, now_ms: int) -> None:
        """Count orders; -1015 beyond either limit (the refused one is not counted)."""
        counts = self.counts(account)
        config = self.config
        if counts.ten_seconds.used(now_ms) + ten_seconds > config.orders_per_ten_seconds:
            raise _too_many(config.orders_per_ten_seconds, "10 SECOND", counts.ten_seconds, now_ms)
        if counts.minute.used(now_ms) + minute > config.orders_per_minute:
            raise _too_many(config.orders_per_minute, "1 MINUTE", counts.minute, now_ms)
        counts.ten_seconds.add(ten_seconds, now_ms)
        counts.minute.add(minute, now_ms)

    @staticmethod
    def _banned(address: _Address, ip: str, now_ms: int) -> VenueError:
        text = f"Way too many requests; IP({ip}) banned until {address.banned_until}. "
        text += "Please use the websocket for live updates to avoid bans."
        return VenueError(-1003, text, 418, max(1, (address.banned_until - now_ms) // 1000))

    def _forget(self, now_ms: int) -> None:
        if len(self._addresses) < MAX_ADDRESSES:
            return
        for ip, address in list(self._addresses.items()):
            if not address.weight.used(now_ms) and address.banned_until <= now_ms:
                del self._addresses[ip]


def _too_many(limit: int, span: str, window: Window, now_ms: int) -> VenueError:
    text = f"Too many new orders; current limit is {limit} orders per {span}."
    return VenueError(-1015, text, 429, window.left_s(now_ms))
