"""Events of the scalper, made by algos."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.algos import AlgoStatus, ScalperSlot
from pms_common.contracts.base import PositionSide
from pms_common.contracts.events.base import AlgoEvent


class ScalperEvent(AlgoEvent, frozen=True, kw_only=True):
    """What every scalper event tells."""

    scalper_id: str
    symbol: str


class ScalperProgress(ScalperEvent, frozen=True, kw_only=True, tag="scalper_progress"):
    """Its state and each slot's; on change, else at most once a second."""

    start_side: PositionSide
    status: AlgoStatus
    fill_count: int
    long_max_price: Decimal | None
    short_min_price: Decimal | None
    neutral_mode: bool
    min_fill_spread_pct: Decimal
    fill_decay_half_life_ms: int
    min_refill_delay_ms: int
    allow_loss: bool
    max_loss_per_close_bps: int
    max_fills_per_minute: int
    pnl_feedback_mode: Literal["off", "soft", "full"]
    long_slots: tuple[ScalperSlot, ...]
    short_slots: tuple[ScalperSlot, ...]
    started_at_ms: int = msgspec.field(name="startedAt")


class ScalperFilled(ScalperEvent, frozen=True, kw_only=True, tag="scalper_filled"):
    """A layer was filled; `side` is its leg."""

    side: PositionSide
    layer_idx: int
    fill_price: Decimal
    fill_qty: Decimal


class ScalperCancelled(ScalperEvent, frozen=True, kw_only=True, tag="scalper_cancelled"):
    """Ended, with its children."""

    reason: Literal["cancelled", "error", "risk"]
    closed_positions: bool
