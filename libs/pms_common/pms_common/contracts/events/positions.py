"""Events of one position, made by risk when it has booked a fill."""

from __future__ import annotations

from decimal import Decimal

from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.base import PositionSide
from pms_common.contracts.events.base import Event


class PositionEvent(Event, frozen=True, kw_only=True):
    """What every position event tells; `account` is the account after it."""

    position_id: str
    symbol: str
    side: PositionSide
    account: AccountSnapshot


class PositionUpdated(PositionEvent, frozen=True, kw_only=True, tag="position_updated"):
    """Opened or changed."""

    entry_price: Decimal
    quantity: Decimal
    notional: Decimal
    leverage: int
    margin: Decimal
    liquidation_price: Decimal | None


class PositionClosed(PositionEvent, frozen=True, kw_only=True, tag="position_closed"):
    """Closed. `reason`: CLOSE, FLIP, LIMIT_CLOSE, TRAIL_STOP, SCALPER_CLEANUP, LIQUIDATE, RECONCILE, …"""

    realized_pnl: Decimal
    new_balance: Decimal
    reason: str
    close_price: Decimal


class PositionReduced(PositionEvent, frozen=True, kw_only=True, tag="position_reduced"):
    """Made smaller."""

    closed_qty: Decimal
    remaining_qty: Decimal
    realized_pnl: Decimal
    new_balance: Decimal
    reason: str
