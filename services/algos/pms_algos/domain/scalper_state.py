"""The state of a scalper: its two legs, their layers, and the chase that works each.

Owns the form in which it is kept in PostgreSQL. Never decides; `scalper` does.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from pms_algos.domain.chase_state import Chase
from pms_algos.domain.events import PositionSide
from pms_algos.domain.state import State
from pms_algos.domain.times import UtcMs

ZERO = Decimal(0)

SlotPause = Literal[
    "fill_spread",
    "burst_limit",
    "refill_delay",
    "neutral_inventory_full",
    "price_filter",
    "max_loss_guard",
    "no_position",
    "risk",
]


class ScalperPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered; sizes are USDT a leg, or `quantity` base coin for each."""

    algo_id: str
    account_id: str
    request_id: str
    symbol: str
    start_side: PositionSide
    leverage: Decimal
    child_count: int
    skew: int
    long_offset_pct: Decimal
    short_offset_pct: Decimal
    long_size_usd: Decimal
    short_size_usd: Decimal
    quantity: Decimal | None = None
    neutral_mode: bool = False
    long_max_price: Decimal | None = None
    short_min_price: Decimal | None = None
    pin_long_to_entry: bool = False
    pin_short_to_entry: bool = False
    min_fill_spread_pct: Decimal = ZERO
    fill_decay_half_life_ms: int = 30_000
    min_refill_delay_ms: int = 0
    allow_loss: bool = True
    max_loss_per_close_bps: int = 0
    max_fills_per_minute: int = 0
    pnl_feedback_mode: Literal["off", "soft", "full"] = "off"
    replaces_id: str | None = None
    started_ms: UtcMs
    traceparent: str = ""

    def offset_pct(self, leg: PositionSide) -> Decimal:
        """How far behind its quote the leg's middle layer stays."""
        return self.long_offset_pct if leg == "LONG" else self.short_offset_pct

    def size_usd(self, leg: PositionSide, price: Decimal) -> Decimal:
        """Notional of the whole leg."""
        if self.quantity is not None:
            return self.quantity * price
        return self.long_size_usd if leg == "LONG" else self.short_size_usd


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of a leg, and the chase that works it, if one does.

    `reduce_only` is given when the leg is armed and never derived anew. `refill`: it restarts because it was filled, so
    the guards of fills apply. `pause` says what holds it, `retry_ms` until when; None: until there is a position.
    `closed` counts the fills that `pnl_sum` is of; `score_ema` is in bps, `held_ms` the sum of holding times.
    """

    layer: int
    offset_pct: Decimal
    offset_ticks: int | None = None
    quantity: Decimal
    reduce_only: bool
    part: Chase | None = None
    refill: bool = False
    pause: SlotPause | None = None
    retry_ms: UtcMs | None = 0
    retries: int = 0
    fills: int = 0
    closed: int = 0
    pnl_sum: Decimal = ZERO
    score_ema: float = 0.0
    held_ms: int = 0


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """All buys (LONG) or all sells (SHORT). Without slots until it is armed. `fill_times`: those of the last minute."""

    side: PositionSide
    slots: tuple[Slot, ...] = ()
    fill_price: Decimal | None = None
    fill_ms: UtcMs = 0
    fill_times: tuple[UtcMs, ...] = ()

    @property
    def claimed(self) -> Decimal:
        """What the closing layers under way may still execute."""
        return sum((part.remaining for part in self._closing), ZERO)

    @property
    def staying(self) -> Decimal:
        """What those of them may still execute that are not taken back already."""
        return sum((part.remaining for part in self._closing if part.ending is None), ZERO)

    @property
    def _closing(self) -> tuple[Chase, ...]:
        return tuple(slot.part for slot in self.slots if slot.reduce_only and slot.part is not None)

    @property
    def executed(self) -> Decimal:
        """Of orders under way."""
        return sum((slot.part.total_executed for slot in self.slots if slot.part is not None), ZERO)


class Over(msgspec.Struct, frozen=True):
    """A layer's order that has ended."""

    leg: PositionSide
    layer: int
    part: Chase


class Scalper(State, frozen=True, kw_only=True):
    """A scalper. `net` is what its ended orders bought less what they sold; `closer` the order that closes that.

    `untold` are ends of layers' orders that readers are told of when they are durable.
    """

    plan: ScalperPlan
    long: Leg
    short: Leg
    parts: int = 0
    fill_count: int = 0
    net: Decimal = ZERO
    untold: tuple[Over, ...] = ()
    close_positions: bool = False
    closer: Chase | None = None
    close_tries: int = 0
    close_retry_ms: UtcMs = 0
    closed_positions: bool = False
    progress_ms: UtcMs = 0

    def leg(self, side: PositionSide) -> Leg:
        """One of the two."""
        return self.long if side == "LONG" else self.short

    @property
    def chases(self) -> tuple[Chase, ...]:
        """All orders under way."""
        slots = (*self.long.slots, *self.short.slots)
        parts = tuple(slot.part for slot in slots if slot.part is not None)
        return parts if self.closer is None else (*parts, self.closer)
