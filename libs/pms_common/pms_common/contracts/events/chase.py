"""Events of the chase, made by algos."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pms_common.contracts.algos import AlgoStatus
from pms_common.contracts.base import Side, StalkMode
from pms_common.contracts.events.base import AlgoEvent

ChaseEndReason = Literal["cancelled", "distance_breached", "error", "risk", "position_closed"]


class ChaseEvent(AlgoEvent, frozen=True, kw_only=True):
    """What every chase event tells; `parentScalperId` marks a scalper's child."""

    chase_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled_qty: Decimal
    reprice_count: int
    parent_scalper_id: str | None


class ChaseProgress(ChaseEvent, frozen=True, kw_only=True, tag="chase_progress"):
    """Started, repriced, filled in part, paused or resumed; else at most once a second."""

    status: AlgoStatus
    stalk_offset_pct: Decimal
    stalk_mode: StalkMode
    max_distance_pct: Decimal
    current_order_price: Decimal | None
    initial_price: Decimal | None
    bid: float | None
    ask: float | None


class ChaseFilled(ChaseEvent, frozen=True, kw_only=True, tag="chase_filled"):
    """Filled in full; `fillPrice` is the average of all its orders, `dustQty` what was left and is below a minimum."""

    fill_price: Decimal
    dust_qty: Decimal


class ChaseCancelled(ChaseEvent, frozen=True, kw_only=True, tag="chase_cancelled"):
    """Ended before it was filled."""

    reason: ChaseEndReason
    error: str | None = None
    error_code: str | None = None
