"""The venue's rate limits, honoured before sending.

Owns who may use how much of each limit, when several requests are cheaper as one, and the pauses the venue asks for.
Never waits: it says when there is room. Times are of a monotonic clock. Pure. Used by the sender and the REST client.

What requests cost (source: the venue's pages of each request, November 2026): an order or amendment is 1 in both order
windows and no weight; up to 5 of them as one batch are 5 in the 10 s window, 1 in the minute's, and 5 weight. A cancel
is 1 weight and no order; up to 10 of one symbol as one batch are 1 weight, too.
"""

import re
from dataclasses import dataclass
from enum import IntEnum

from pms_common.rate.window import Window
from pms_orders.domain.errors import VenueError


class Lane(IntEnum):
    """Kinds of work, the most urgent first."""

    CANCEL = 0
    LIQUIDATION = 1
    CLOSE = 2
    NEW = 3
    REPRICE = 4


# Share of an order window up to which each lane may fill it: what is more urgent always finds room, and repricing
# leaves half to others.
_SHARES = {Lane.LIQUIDATION: 1.0, Lane.CLOSE: 0.97, Lane.NEW: 0.9, Lane.REPRICE: 0.5}
CANCEL_SHARE = 0.97
"""Of the weight: the rest is what other processes on the address may have used a moment ago."""
QUERY_SHARE = 0.75
"""Share of the weight that queries may fill: the rest is kept for cancels."""
BATCH_WEIGHT_SHARE = 0.5
"""Share of the weight up to which batches of orders are sent: they save order counts, not weight."""
BATCH_FROM_SHARE = 0.5
"""A batch saves counts of the minute only: below this share nothing is to be saved, and single ones are faster."""
ORDERS_A_BATCH, CANCELS_A_BATCH = 5, 10
FEWEST_CANCELS_A_BATCH = 5
"""Fewer are faster as single requests in one write, and 4 weight of 2,400 are nothing."""
BATCH_COUNT, BATCH_WEIGHT = 5, 5
MINUTE_MS = 60_000
PAUSE_MS = 1_000
"""After a count of orders that is full and names no time, and the shortest; after any other refusal of that kind it is
a minute."""
LONGEST_PAUSE_MS = 3 * 24 * 3_600_000
"""The venue's bans last 2 minutes to 3 days."""
TOO_MANY_ORDERS = -1015
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")


@dataclass(slots=True)
class Budget:
    """The order windows of one exchange account, the weight window of the address, and what the venue has asked for.

    `blocked_until_ms` is a pause for everything (the address), `orders_blocked_until_ms` for orders and amendments
    alone (the account's count of orders): cancels go on.
    """

    orders: tuple[Window, ...]
    weight: Window
    blocked_until_ms: int = 0
    orders_blocked_until_ms: int = 0

    def room(self, lane: Lane, now_ms: int) -> int:
        """How many single requests of this lane may be sent now."""
        if now_ms < self.blocked_until_ms:
            return 0
        if lane is Lane.CANCEL:
            return self.weight.room(now_ms, CANCEL_SHARE)
        if now_ms < self.orders_blocked_until_ms:
            return 0
        share = _SHARES[lane]
        room = 1_000_000
        for window in self.orders:
            room = min(room, window.room(now_ms, share))
        return room

    def spend(self, lane: Lane, now_ms: int) -> None:
        """Count a request that is being sent."""
        if lane is Lane.CANCEL:
            self.weight.take(now_ms)
            return
        for window in self.orders:
            window.take(now_ms)

    def batch_room(self, lane: Lane, now_ms: int) -> bool:
        """Whether a batch of orders or amendments is cheaper than single ones now, and may be sent."""
        if now_ms < self.orders_blocked_until_ms or now_ms < self.blocked_until_ms:
            return False
        share, scarce = _SHARES[lane], False
        for window in self.orders:
            if window.room(now_ms, share) < self._batch_count(window):
                return False
            saves = self._batch_count(window) < ORDERS_A_BATCH
            scarce = scarce or (saves and window.used >= window.limit * share * BATCH_FROM_SHARE)
        return scarce and self.weight.room(now_ms, BATCH_WEIGHT_SHARE) >= BATCH_WEIGHT

    def spend_batch(self, lane: Lane, now_ms: int) -> None:
        """Count a batch that is being sent."""
        if lane is Lane.CANCEL:
            self.weight.take(now_ms)
            return
        self.weight.take(now_ms, BATCH_WEIGHT)
        for window in self.orders:
            window.take(now_ms, self._batch_count(window))

    @staticmethod
    def _batch_count(window: Window) -> int:
        return BATCH_COUNT if window.span_ms < MINUTE_MS else 1

    def admits_query(self, weight: int, now_ms: int) -> bool:
        """Whether a query of this weight may be sent now, leaving the reserve for cancels."""
        return now_ms >= self.blocked_until_ms and self.weight.room(now_ms, QUERY_SHARE) >= weight

    def admits_line(self, weight: int, now_ms: int) -> bool:
        """Whether a line may be connected now: without one no cancel can be sent, so it may take of their reserve."""
        return now_ms >= self.blocked_until_ms and self.weight.room(now_ms, CANCEL_SHARE) >= weight

    def told(self, limit_type: str, span_ms: int, count: int, now_ms: int) -> None:
        """The venue has said how much of a limit is used: others may have used some of it, too."""
        if limit_type == "REQUEST_WEIGHT":
            if span_ms == self.weight.span_ms:
                self.weight.raise_to(now_ms, count)
            return
        for window in self.orders:
            if window.span_ms == span_ms:
                window.raise_to(now_ms, count)

    # -- pauses

    def refused(self, error: VenueError, now_ms: int, venue_ms: int | None = None) -> None:
        """A request was refused for a limit. `venue_ms` is the venue's time, where known."""
        pause_ms = error.wait_ms
        ban = _BANNED_UNTIL.search(error.message)
        if ban is not None and venue_ms is not None:
            left_ms = int(ban[1]) - venue_ms
            pause_ms = max(
                pause_ms or 0, left_ms if left_ms > 0 else MINUTE_MS
            )  # it cannot be over: the clock is wrong
        if pause_ms is None:
            pause_ms = PAUSE_MS if error.code == TOO_MANY_ORDERS else MINUTE_MS
        until_ms = now_ms + min(max(pause_ms, PAUSE_MS), LONGEST_PAUSE_MS)
        if error.code == TOO_MANY_ORDERS:
            self.orders_blocked_until_ms = max(self.orders_blocked_until_ms, until_ms)
        else:
            self.block(until_ms)

    def block(self, until_ms: int) -> None:
        """The venue wants to be left alone until then."""
        self.blocked_until_ms = max(self.blocked_until_ms, until_ms)

    def wait_ms(self, lane: Lane, now_ms: int) -> int:
        """How long to wait before asking again for this lane; 0 where it is admitted."""
        if self.room(lane, now_ms):
            return 0
        if now_ms < self.blocked_until_ms:
            return self.blocked_until_ms - now_ms
        if lane is Lane.CANCEL:
            return self._wait(self.weight, CANCEL_SHARE, now_ms)
        if now_ms < self.orders_blocked_until_ms:
            return self.orders_blocked_until_ms - now_ms
        return max(self._wait(window, _SHARES[lane], now_ms) for window in self.orders)

    @staticmethod
    def _wait(window: Window, share: float, now_ms: int) -> int:
        """At most until the oldest count is forgotten; what only waits to be reported is a matter of milliseconds."""
        if window.room(now_ms, share):
            return 1
        reported = window.credit and window.unreported >= window.credit
        return 50 if reported else max(1, window.next_room_ms(now_ms) - now_ms)
