"""All public events: one family a file, the registry of types, and the decoder of any of them.

base   envelope, `splice`     orders  order_*      positions   position_*     chase  scalper  twap  trail_stop
system liquidation, warnings, account, trading state, drift
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import msgspec

from pms_common.contracts.events.base import ALL_ACCOUNTS, AlgoEvent, Event, Sequenced, splice
from pms_common.contracts.events.chase import ChaseCancelled, ChaseFilled, ChaseProgress
from pms_common.contracts.events.orders import (
    OrderActive,
    OrderCancelled,
    OrderFailed,
    OrderFilled,
    OrderPartial,
    OrderPlaced,
)
from pms_common.contracts.events.positions import PositionClosed, PositionReduced, PositionUpdated
from pms_common.contracts.events.scalper import ScalperCancelled, ScalperFilled, ScalperProgress
from pms_common.contracts.events.system import (
    AccountUpdated,
    AdlTriggered,
    FullLiquidation,
    Liquidation,
    MarginWarning,
    ReconciliationDrift,
    TradingStateChanged,
)
from pms_common.contracts.events.trail_stop import TrailStopCancelled, TrailStopProgress, TrailStopTriggered
from pms_common.contracts.events.twap import (
    TwapBasketCancelled,
    TwapBasketCompleted,
    TwapBasketProgress,
    TwapCancelled,
    TwapCompleted,
    TwapProgress,
)

EVENTS: dict[str, type[Event]] = {
    str(event.__struct_config__.tag): event
    for event in (
        *(OrderPlaced, OrderActive, OrderPartial, OrderFilled, OrderCancelled, OrderFailed),
        *(PositionUpdated, PositionClosed, PositionReduced),
        *(ChaseProgress, ChaseFilled, ChaseCancelled),
        *(ScalperProgress, ScalperFilled, ScalperCancelled),
        *(TwapProgress, TwapCompleted, TwapCancelled),
        *(TwapBasketProgress, TwapBasketCompleted, TwapBasketCancelled),
        *(TrailStopProgress, TrailStopTriggered, TrailStopCancelled),
        *(Liquidation, AdlTriggered, FullLiquidation),
        *(MarginWarning, AccountUpdated, TradingStateChanged, ReconciliationDrift),
    )
}
"""Type (the channel `pms:events:{type}`) → class."""

decode_event: Any = msgspec.json.Decoder(reduce(or_, EVENTS.values())).decode
"""Bytes of any event → its class, told by `type`; the gateway's fields are skipped (read them as Sequenced)."""

__all__ = ["ALL_ACCOUNTS", "EVENTS", "AlgoEvent", "Event", "Sequenced", "decode_event", "splice"]
