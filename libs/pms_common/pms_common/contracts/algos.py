"""What each algo shows of itself: the items of the active lists.

The same items are the values of the `pms:algos:*` hash and the body of a start's result. Made by algos alone.
Sides: chase and TWAP say BUY/SELL, scalper legs and trailing stops LONG/SHORT.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.base import PositionSide, Side, StalkMode, Wire

AlgoStatus = Literal["starting", "active", "paused", "stopping", "ended"]

PauseReason = Literal[
    "fill_spread",
    "burst_limit",
    "refill_delay",
    "neutral_inventory_full",
    "price_filter",
    "max_loss_guard",
    "no_position",
    "user",
    "risk",
]


class ChaseItem(Wire, frozen=True, kw_only=True):
    """A chase. `initialPrice` is its own quote at the start; `bid` and `ask` the touch it last acted on."""

    chase_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled_qty: Decimal
    leverage: int
    stalk_offset_pct: Decimal
    stalk_offset_ticks: int | None = None
    stalk_mode: StalkMode
    max_distance_pct: Decimal
    min_interval_ms: int
    reduce_only: bool
    post_only: bool
    current_order_price: Decimal | None
    initial_price: Decimal | None
    bid: float | None
    ask: float | None
    reprice_count: int
    status: AlgoStatus
    parent_scalper_id: str | None
    started_at_ms: int = msgspec.field(name="startedAt")


class ScalperSlot(Wire, frozen=True, kw_only=True):
    """A layer of one leg: (`leg`, `layerIdx`) is its key. `qty` is base coin, `retryAt` epoch milliseconds."""

    leg: PositionSide
    layer_idx: int
    offset_pct: Decimal
    qty: Decimal
    active: bool
    paused: bool
    retry_at_ms: int | None = msgspec.field(name="retryAt")
    retry_count: int
    pause_reason: PauseReason | None
    fills: int
    pnl_sum: Decimal | None
    pnl_score_ema: float | None
    avg_hold_ms: int | None


class ScalperSettings(Wire, frozen=True, kw_only=True):
    """All that a scalper was started with, as an edit form needs it."""

    start_side: PositionSide
    leverage: int
    child_count: int
    skew: int
    long_offset_pct: Decimal
    short_offset_pct: Decimal
    long_size_usd: Decimal
    short_size_usd: Decimal
    quantity: Decimal | None = None
    neutral_mode: bool
    long_max_price: Decimal | None
    short_min_price: Decimal | None
    pin_long_to_entry: bool
    pin_short_to_entry: bool
    min_fill_spread_pct: Decimal
    fill_decay_half_life_ms: int
    min_refill_delay_ms: int
    allow_loss: bool
    max_loss_per_close_bps: int
    max_fills_per_minute: int
    pnl_feedback_mode: Literal["off", "soft", "full"]


class ScalperItem(ScalperSettings, frozen=True, kw_only=True):
    """A scalper; `longLayers` and `shortLayers` count the layers that may open now."""

    scalper_id: str
    symbol: str
    status: AlgoStatus
    fill_count: int
    long_layers: int
    short_layers: int
    long_slots: tuple[ScalperSlot, ...]
    short_slots: tuple[ScalperSlot, ...]
    started_at_ms: int = msgspec.field(name="startedAt")


class LotError(Wire, frozen=True, kw_only=True):
    """A lot (from 1) that could not be executed, and why."""

    lot: int
    error: str


class TwapItem(Wire, frozen=True, kw_only=True):
    """A TWAP. Sizes are USDT, quantities base coin; what was not asked for in one is null until known in the other."""

    twap_id: str
    symbol: str
    side: Side
    total_size: Decimal | None
    filled_size: Decimal
    total_qty: Decimal | None
    filled_qty: Decimal
    leverage: int
    total_lots: int
    filled_lots: int
    interval_seconds: Decimal
    duration_minutes: Decimal
    jitter: bool
    irregular: bool
    price_limit: Decimal | None
    skipped_ticks: int
    errors: tuple[LotError, ...]
    status: AlgoStatus
    twap_basket_id: str | None = None
    started_at_ms: int = msgspec.field(name="startedAt")
    estimated_end_ms: int = msgspec.field(name="estimatedEnd")
    next_order_at_ms: int | None = msgspec.field(name="nextOrderAt")


class TwapBasketLegItem(Wire, frozen=True, kw_only=True):
    """One leg of a basket TWAP."""

    symbol: str
    side: Side
    filled_size: Decimal
    total_size: Decimal
    filled_qty: Decimal
    total_qty: Decimal | None


class TwapBasketItem(Wire, frozen=True, kw_only=True):
    """A basket TWAP."""

    twap_basket_id: str
    basket_name: str
    total_lots: int
    filled_lots: int
    interval_seconds: Decimal
    duration_minutes: Decimal
    jitter: bool
    irregular: bool
    legs: tuple[TwapBasketLegItem, ...]
    errors: tuple[LotError, ...]
    status: AlgoStatus
    started_at_ms: int = msgspec.field(name="startedAt")
    estimated_end_ms: int = msgspec.field(name="estimatedEnd")
    next_order_at_ms: int | None = msgspec.field(name="nextOrderAt")


class TrailStopItem(Wire, frozen=True, kw_only=True):
    """A trailing stop; `side` is the position's. Extreme and trigger are null until it is activated."""

    trail_stop_id: str
    position_id: str
    symbol: str
    side: PositionSide
    callback_pct: Decimal
    activation_price: Decimal | None
    activated: bool
    extreme_price: Decimal | None
    trigger_price: Decimal | None
    current_price: Decimal | None
    status: AlgoStatus
    started_at_ms: int = msgspec.field(name="startedAt")


AlgoItem = ChaseItem | ScalperItem | TwapItem | TwapBasketItem | TrailStopItem
