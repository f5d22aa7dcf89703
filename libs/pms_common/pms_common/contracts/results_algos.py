"""Answers to the algo commands, and the registry of all success classes.

A start shows the item of the active list; a cancel, pause or resume how far the algo has come.
Written by algos; read by the gateway and the CLI.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.algos import (
    AlgoItem,
    AlgoStatus,
    ChaseItem,
    ScalperItem,
    TrailStopItem,
    TwapBasketItem,
    TwapItem,
)
from pms_common.contracts.base import PositionSide, Side, always
from pms_common.contracts.results import (
    AccountDone,
    BasketDone,
    CancelAllDone,
    CloseAllDone,
    CloseDone,
    OrderDone,
    ScaleDone,
    Success,
    TradingStateDone,
    ValidateDone,
)


class ChaseStarted(ChaseItem, frozen=True, kw_only=True):
    """Answer to `chase`."""

    success: Literal[True] = always(True)
    request_id: str
    warnings: tuple[str, ...] | None = None


class ScalperStarted(ScalperItem, frozen=True, kw_only=True):
    """Answer to `scalper`."""

    success: Literal[True] = always(True)
    request_id: str
    warnings: tuple[str, ...] | None = None


class TwapStarted(TwapItem, frozen=True, kw_only=True):
    """Answer to `twap`."""

    success: Literal[True] = always(True)
    request_id: str
    warnings: tuple[str, ...] | None = None


class TwapBasketStarted(TwapBasketItem, frozen=True, kw_only=True):
    """Answer to `twap_basket`."""

    success: Literal[True] = always(True)
    request_id: str
    warnings: tuple[str, ...] | None = None


class TrailStopStarted(TrailStopItem, frozen=True, kw_only=True):
    """Answer to `trail_stop`."""

    success: Literal[True] = always(True)
    request_id: str
    warnings: tuple[str, ...] | None = None


Started = ChaseStarted | ScalperStarted | TwapStarted | TwapBasketStarted | TrailStopStarted
_STARTED: dict[type[AlgoItem], type[Started]] = {
    ChaseItem: ChaseStarted,
    ScalperItem: ScalperStarted,
    TwapItem: TwapStarted,
    TwapBasketItem: TwapBasketStarted,
    TrailStopItem: TrailStopStarted,
}


def started(item: AlgoItem, request_id: str, warnings: Sequence[str] = ()) -> Started:
    """The answer to the command that started the algo which `item` shows."""
    shown = {name: getattr(item, name) for name in item.__struct_fields__}
    return _STARTED[type(item)](request_id=request_id, warnings=tuple(warnings) or None, **shown)


class ChaseChanged(Success, frozen=True, kw_only=True):
    """Answer to `chase_cancel`, `chase_pause`, `chase_resume`."""

    chase_id: str
    symbol: str
    side: Side
    status: AlgoStatus
    filled_qty: Decimal


class ScalperChanged(Success, frozen=True, kw_only=True):
    """Answer to `scalper_cancel`, `scalper_pause`, `scalper_resume`."""

    scalper_id: str
    symbol: str
    status: AlgoStatus
    closed_positions: bool


class TwapChanged(Success, frozen=True, kw_only=True):
    """Answer to `twap_cancel`, `twap_pause`, `twap_resume`."""

    twap_id: str
    status: AlgoStatus
    filled_lots: int
    total_lots: int
    filled_size: Decimal
    total_size: Decimal | None


class TwapBasketChanged(Success, frozen=True, kw_only=True):
    """Answer to `twap_basket_cancel`, `twap_basket_pause`, `twap_basket_resume`."""

    twap_basket_id: str
    status: AlgoStatus
    filled_lots: int
    total_lots: int


class TrailStopChanged(Success, frozen=True, kw_only=True):
    """Answer to `trail_stop_cancel`, `trail_stop_pause`, `trail_stop_resume`."""

    trail_stop_id: str
    symbol: str
    side: PositionSide
    status: AlgoStatus


_CHANGED: dict[str, type[Success]] = {
    "chase": ChaseChanged,
    "scalper": ScalperChanged,
    "twap": TwapChanged,
    "twap_basket": TwapBasketChanged,
    "trail_stop": TrailStopChanged,
}

RESULTS: dict[str, type[msgspec.Struct]] = {
    **dict.fromkeys(("trade", "limit", "limit_close", "amend", "cancel"), OrderDone),
    "scale": ScaleDone,
    "basket": BasketDone,
    "close": CloseDone,
    "close_all": CloseAllDone,
    "cancel_all": CancelAllDone,
    "validate": ValidateDone,
    "account": AccountDone,
    "trading_state": TradingStateDone,
    "chase": ChaseStarted,
    "scalper": ScalperStarted,
    "twap": TwapStarted,
    "twap_basket": TwapBasketStarted,
    "trail_stop": TrailStopStarted,
    **{f"{algo}_{verb}": _CHANGED[algo] for algo in _CHANGED for verb in ("cancel", "pause", "resume")},
}
"""Command type → class of its success."""
