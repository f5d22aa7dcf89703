"""Events of the trailing stop, made by algos; `side` is the position's."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pms_common.contracts.algos import AlgoStatus
from pms_common.contracts.base import PositionSide
from pms_common.contracts.events.base import AlgoEvent


class TrailStopEvent(AlgoEvent, frozen=True, kw_only=True):
    """What every trailing stop event tells."""

    trail_stop_id: str
    position_id: str
    symbol: str
    side: PositionSide


class TrailStopProgress(TrailStopEvent, frozen=True, kw_only=True, tag="trail_stop_progress"):
    """Activated, paused, resumed, or a new extreme; at most once a second."""

    status: AlgoStatus
    callback_pct: Decimal
    activation_price: Decimal | None
    activated: bool
    extreme_price: Decimal | None
    trigger_price: Decimal | None
    current_price: Decimal | None


class TrailStopTriggered(TrailStopEvent, frozen=True, kw_only=True, tag="trail_stop_triggered"):
    """Fired. `closeSuccess` false: the close was refused and is tried again, the position is still there."""

    extreme_price: Decimal
    trigger_price: Decimal
    triggered_price: Decimal
    close_success: bool
    error: str | None = None


class TrailStopCancelled(TrailStopEvent, frozen=True, kw_only=True, tag="trail_stop_cancelled"):
    """Removed before it fired."""

    reason: Literal["cancelled", "position_closed", "error", "risk"]
