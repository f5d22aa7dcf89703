"""L1 of one symbol out of two streams: the higher update id wins, whatever stream it came by.

Owns the rule and the present L1. Never knows where a quote came from beyond its update id. Used by `app.market`.
Depth and bookTicker of a symbol count the same update ids: on the recordings their best bid and ask are equal at
every common id.
"""

from typing import Literal

Source = Literal["both", "depth", "bookticker"]

ID_RESTART_MS = 5_000
"""A lower id this much later in the venue's own time means that the venue began to count anew."""


class L1:
    """Best bid and ask. Times: `event_ms` the venue's, `received_us` and `changed_ms` (a price changed) ours."""

    __slots__ = (
        "ask",
        "ask_quantity",
        "bid",
        "bid_quantity",
        "changed_ms",
        "event_ms",
        "received_us",
        "update_id",
    )

    def __init__(self) -> None:
        self.bid = self.bid_quantity = self.ask = self.ask_quantity = 0.0
        self.event_ms = self.received_us = self.changed_ms = 0
        self.update_id = -1

    @property
    def known(self) -> bool:
        """Whether there has been a price at all."""
        return self.bid > 0

    def restart(self) -> None:
        """Take the next quote whatever its id: a new connection may lead to a venue that counts anew."""
        self.update_id = -1

    def newer(self, update_id: int, event_ms: int) -> bool:
        """Whether a quote of that id and venue's time would replace this one."""
        return update_id > self.update_id or event_ms > self.event_ms + ID_RESTART_MS

    def offer(
        self,
        update_id: int,
        bid: float,
        bid_quantity: float,
        ask: float,
        ask_quantity: float,
        event_ms: int,
        received_us: int,
    ) -> bool:
        """Take a quote if it is newer and sound (two sides, not crossed); whether it was taken."""
        if update_id <= self.update_id and event_ms <= self.event_ms + ID_RESTART_MS:
            return False
        if not 0 < bid <= ask:
            return False
        if bid != self.bid or ask != self.ask:
            self.bid = bid
            self.ask = ask
            self.changed_ms = received_us // 1000
        self.bid_quantity = bid_quantity
        self.ask_quantity = ask_quantity
        self.update_id = update_id
        self.event_ms = event_ms
        self.received_us = received_us
        return True
