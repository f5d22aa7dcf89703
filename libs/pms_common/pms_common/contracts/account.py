"""An account as JS sees it: the snapshot that events carry, and what the risk cache adds.

Used by the events, by the caches and by risk, which alone makes them. Amounts are USDT, quantities base coin.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.base import (
    LiquidationMode,
    MaintenanceMode,
    MarginMode,
    OrderState,
    OrderType,
    Origin,
    PositionSide,
    Side,
    Wire,
)

AccountStatus = Literal["ACTIVE", "FROZEN", "LIQUIDATED", "CLOSED"]


class SnapshotPosition(Wire, frozen=True, kw_only=True):
    """An open position in an account snapshot."""

    id: str
    symbol: str
    side: PositionSide
    entry_price: Decimal
    quantity: Decimal
    margin: Decimal
    leverage: int


class AccountSnapshot(Wire, frozen=True, kw_only=True):
    """The account after the event that carries it: complete, never a difference."""

    balance: Decimal
    equity: Decimal
    margin_used: Decimal
    available_margin: Decimal
    positions: tuple[SnapshotPosition, ...]


class RiskPosition(SnapshotPosition, frozen=True, kw_only=True):
    """An open position in the risk cache. What needs a price is null while there is none.

    `liquidationPrice` is reckoned with what stands behind the position: of a cross one with the whole account, of an
    isolated one with its own margin, which `isolatedLiquidationPrice` always is. `marginRatio` is that of an isolated
    position; cross ones share the account's.
    """

    notional: Decimal
    mark_price: Decimal | None
    liquidation_price: Decimal | None
    isolated_liquidation_price: Decimal
    maintenance_margin: Decimal
    unrealized_pnl: Decimal | None
    pnl_percent: Decimal | None
    margin_mode: MarginMode
    margin_ratio: Decimal | None
    opened_at_ms: int = msgspec.field(name="openedAt")


class RiskOrder(Wire, frozen=True, kw_only=True):
    """An open order in the risk cache; `id` and `orderId` are the client order id, which `cancel` takes."""

    id: str
    order_id: str
    client_order_id: str
    exchange_order_id: str | None
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    filled_qty: Decimal
    state: OrderState
    reduce_only: bool
    leverage: int
    origin: Origin
    parent_id: str | None
    created_at_ms: int = msgspec.field(name="createdAt")


class RiskSnapshot(Wire, frozen=True, kw_only=True):
    """Value of `pms:risk:{subAccountId}`: all of an AccountSnapshot and more.

    `marginRatio` is maintenance margin over equity, both of the cross positions and the cash behind them, as
    `maintenanceMargin` and `accountLiqPrice`, which is that of the largest of them. `marginMode` is that of positions
    to come.
    """

    sub_account_id: str
    timestamp_ms: int = msgspec.field(name="timestamp")
    status: AccountStatus
    liquidation_mode: LiquidationMode
    maintenance_mode: MaintenanceMode
    margin_mode: MarginMode
    balance: Decimal
    equity: Decimal
    margin_used: Decimal
    available_margin: Decimal
    unrealized_pnl: Decimal
    margin_ratio: Decimal
    maintenance_margin: Decimal
    total_exposure: Decimal
    account_liq_price: Decimal | None
    positions: tuple[RiskPosition, ...]
    open_orders: tuple[RiskOrder, ...]
