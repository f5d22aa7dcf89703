"""One symbol's depth book by the venue's rule: snapshot, bridging diff, then `pu` = previous `u`.

Owns the levels, the continuity of update ids and the range of prices the book can vouch for. Never fetches the
snapshot and never reads a clock. Used by `app.market` for every depth frame.

Levels are two dicts, the best of a side is searched only when it is asked for after its level has gone: on a diff of
50 + 50 levels this took 20 µs, sorted containers 112 µs (measured on recorded BTCUSDT).
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from heapq import nlargest, nsmallest
from typing import Protocol

Levels = Sequence[tuple[float, float]]
Quote = tuple[float, float, float, float]
"""Bid, its quantity, ask, its quantity."""

UNKNOWN_BID, UNKNOWN_ASK = float("inf"), 0.0
"""A best that has to be searched: no price is better, so that a diff's levels are compared with nothing else."""
MAX_WAITING = 1_000
"""Diffs kept while the snapshot is on its way: 100 s of `@depth@100ms`."""
IDLE_WAITING = 20
"""Diffs kept while none is: those of a moment before it is asked for. A thousand diffs of 68 levels take 7 MB, and in a
ban every symbol may be without its book."""
MAX_LEVELS = 2_500
"""Levels a side before the far half is dropped; a snapshot brings at most 1,000."""


class Diff(Protocol):
    """What the book reads of a depth update; quantities are absolute, 0 removes the level."""

    @property
    def event_ms(self) -> int: ...
    @property
    def first_id(self) -> int: ...
    @property
    def last_id(self) -> int: ...
    @property
    def previous_id(self) -> int: ...
    @property
    def bids(self) -> Levels: ...
    @property
    def asks(self) -> Levels: ...


class Outcome(Enum):
    """What became of a diff or a snapshot."""

    APPLIED = "applied"
    WAITING = "waiting"  # kept until the snapshot is there
    REPEATED = "repeated"  # older than the book
    GAP = "gap"  # something is missing: the book is lost and wants a snapshot


class Book:
    """Both sides of one symbol. It wants a snapshot while it is not `loaded`, and a new one when not `covered`.

    A snapshot of the venue is cut at 1,000 levels, later diffs bring only levels that change. When the market has moved
    beyond the cut, the best found is most likely right (on the recordings always) but a level may be missing.
    """

    __slots__ = (
        "_ask",
        "_bid",
        "_bridged",
        "_ceiling",
        "_floor",
        "_waiting",
        "asks",
        "bids",
        "covered",
        "event_ms",
        "expecting",
        "loaded",
        "update_id",
    )

    def __init__(self) -> None:
        self._waiting: deque[Diff] = deque(maxlen=MAX_WAITING)
        self.expecting = False
        """Whether a snapshot has been asked for: the diffs from now on are needed."""
        self.clear()

    def clear(self) -> None:
        """Forget everything, as after a new connection."""
        self._waiting.clear()
        self._drop_levels()

    def _drop_levels(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.update_id = 0
        self.event_ms = 0  # the venue's time of that update
        self.loaded = False
        self.covered = False
        self._bridged = False
        self._bid, self._ask = UNKNOWN_BID, UNKNOWN_ASK
        self._floor = 0.0
        self._ceiling = float("inf")

    def load(self, update_id: int, bids: Levels, asks: Levels, *, whole: bool, event_ms: int = 0) -> Outcome:
        """Take a snapshot and apply the diffs that waited for it; `GAP` if it is older than the first of them.

        `event_ms` is the venue's time of it; `whole` tells that it was not cut at its limit, so that no level exists
        beyond it.
        """
        waiting = sorted(self._waiting, key=lambda diff: diff.last_id)
        self.clear()
        self.bids = {price: quantity for price, quantity in bids if quantity}
        self.asks = {price: quantity for price, quantity in asks if quantity}
        self.update_id = update_id
        self.event_ms = event_ms
        self.loaded = self.covered = True
        if not whole:
            self._floor = min(self.bids, default=float("inf"))
            self._ceiling = max(self.asks, default=0.0)
        for diff in waiting:
            self.apply(diff)
        return Outcome.APPLIED if self.loaded else Outcome.GAP

    def apply(self, diff: Diff) -> Outcome:
        """Apply one diff where it continues the book."""
        if not self.covered:
            self._wait(diff)
            if not self.loaded:
                return Outcome.WAITING
        if diff.previous_id != self.update_id or not self._bridged:
            refused = self._refuse(diff)
            if refused is not None:
                return refused
            self._bridged = True
        self.update_id = diff.last_id
        self.event_ms = diff.event_ms
        self._set_bids(diff.bids)
        self._set_asks(diff.asks)
        return Outcome.APPLIED

    def _refuse(self, diff: Diff) -> Outcome | None:
        """Why a diff that does not simply follow cannot be applied; None for the one that bridges to the snapshot.

        The venue says U ≤ lastUpdateId ≤ u. Of a quiet symbol no such diff may ever come: the next one has
        pu ≤ lastUpdateId < U, and as ids between pu and U belong to other symbols it misses nothing either.
        """
        if diff.last_id < self.update_id or (self._bridged and diff.last_id == self.update_id):
            return Outcome.REPEATED
        if not self._bridged and min(diff.first_id, diff.previous_id) <= self.update_id:
            return None
        if self.covered:
            self._wait(diff)
        self._drop_levels()
        return Outcome.GAP

    def _wait(self, diff: Diff) -> None:
        self._waiting.append(diff)
        while not self.expecting and len(self._waiting) > IDLE_WAITING:
            self._waiting.popleft()

    def _set_bids(self, updates: Levels) -> None:
        bids, best = self.bids, self._bid
        for price, quantity in updates:
            if quantity:
                bids[price] = quantity
                if price > best:  # noqa: PLR1730 (a call would cost more than all the rest)
                    best = price
            else:
                bids.pop(price, None)
                if price == best:
                    best = UNKNOWN_BID
        self._bid = best
        if len(bids) > MAX_LEVELS:
            self.bids = {price: bids[price] for price in nlargest(MAX_LEVELS // 2, bids)}
            self._floor = max(self._floor, min(self.bids))

    def _set_asks(self, updates: Levels) -> None:
        asks, best = self.asks, self._ask
        for price, quantity in updates:
            if quantity:
                asks[price] = quantity
                if price < best:  # noqa: PLR1730
                    best = price
            else:
                asks.pop(price, None)
                if price == best:
                    best = UNKNOWN_ASK
        self._ask = best
        if len(asks) > MAX_LEVELS:
            self.asks = {price: asks[price] for price in nsmallest(MAX_LEVELS // 2, asks)}
            self._ceiling = min(self._ceiling, max(self.asks))

    def best(self) -> Quote | None:
        """Best bid and ask, or None where the book cannot tell. A crossed book is lost."""
        if not self.bids or not self.asks:
            return None
        if self._bid == UNKNOWN_BID:
            self._bid = max(self.bids)
        if self._ask == UNKNOWN_ASK:
            self._ask = min(self.asks)
        bid, ask = self._bid, self._ask
        if bid >= ask:
            self._drop_levels()
            return None
        if bid < self._floor or ask > self._ceiling:
            self.covered = False
        return bid, self.bids[bid], ask, self.asks[ask]
