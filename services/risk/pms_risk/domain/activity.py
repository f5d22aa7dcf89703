"""What an account did lately: the result of its day, and its orders of the last minute.

Owns what counts: of cash everything but transfers, of orders those that may open. Pure. Used by `account` (which notes)
and by the rules that limit it.
"""

from collections import deque
from decimal import Decimal

from pms_common.decimals import ZERO

DAY_MS = 86_400_000
MINUTE_MS = 60_000
TRANSFERS = frozenset({"deposit", "withdrawal", "admin_set", "bad_debt"})
"""Causes of cash that are no result of trading."""


class Activity:
    """Result by UTC day, order times by minute."""

    __slots__ = ("_day", "_orders", "_result")

    def __init__(self) -> None:
        self._day = 0
        self._result = ZERO
        self._orders: deque[int] = deque()

    def book(self, cause: str, amount: Decimal, at_ms: int) -> None:
        """Cash has changed."""
        day = at_ms // DAY_MS
        if cause in TRANSFERS or day < self._day:
            return
        if day > self._day:
            self._day, self._result = day, ZERO
        self._result += amount

    def result(self, now_ms: int) -> Decimal:
        """What trading has earned since 00:00 UTC: realised, after commissions and funding."""
        return self._result if now_ms // DAY_MS == self._day else ZERO

    def count_order(self, now_ms: int) -> None:
        """An order has been approved."""
        self._forget(now_ms)
        self._orders.append(now_ms)

    def uncount_order(self) -> None:
        """The last one is not sent."""
        self._orders.pop()

    def orders(self, now_ms: int) -> int:
        """Orders of the last minute."""
        self._forget(now_ms)
        return len(self._orders)

    def _forget(self, now_ms: int) -> None:
        while self._orders and self._orders[0] <= now_ms - MINUTE_MS:
            self._orders.popleft()
