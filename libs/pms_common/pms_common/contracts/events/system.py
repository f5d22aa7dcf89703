"""Events of an account as a whole, and of the system: liquidation, warnings, trading state, drift. Made by risk."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pms_common.contracts.account import AccountSnapshot, AccountStatus
from pms_common.contracts.base import LiquidationMode, PositionSide, TradingState, Wire
from pms_common.contracts.events.base import Event

LiquidationKind = Literal[
    "ADL_30",
    "ADL_30_ESCALATED",
    "INSTANT_CLOSE",
    "INSOLVENCY_GUARD",
    "INSOLVENCY_TAKEOVER",
    "VIRTUAL_LIQ",
    "POOL_GUARD",  # the exchange account itself was near its liquidation
]


class LiquidatedPosition(Wire, frozen=True, kw_only=True):
    """A position that a liquidation step has closed or reduced; `remainingQty` 0 when it is closed."""

    position_id: str
    symbol: str
    side: PositionSide
    closed_qty: Decimal
    remaining_qty: Decimal
    realized_pnl: Decimal


class LiquidationEvent(Event, frozen=True, kw_only=True):
    """A liquidation step. `fraction` 0.3 is 30 %; `symbol` is set where the step concerns one only."""

    mode: LiquidationKind
    tier: int | None
    fraction: Decimal | None
    margin_ratio: Decimal
    symbol: str | None
    positions: tuple[LiquidatedPosition, ...]
    account: AccountSnapshot


class Liquidation(LiquidationEvent, frozen=True, kw_only=True, tag="liquidation"):
    """A step of any kind."""


class AdlTriggered(LiquidationEvent, frozen=True, kw_only=True, tag="adl_triggered"):
    """The same step under the name browsers know: a partial one."""


class FullLiquidation(LiquidationEvent, frozen=True, kw_only=True, tag="full_liquidation"):
    """The same step under the name browsers know: of everything."""


class MarginWarning(Event, frozen=True, kw_only=True, tag="margin_warning"):
    """The margin ratio is near the liquidation threshold; `message` says so to a person. `symbol` is set where it is
    that of an isolated position."""

    symbol: str | None = None
    margin_ratio: Decimal
    liquidation_threshold: Decimal
    message: str
    account: AccountSnapshot


class AccountUpdated(Event, frozen=True, kw_only=True, tag="account_updated"):
    """Created, deposited to, frozen, given other rules, …: `reason` is the action or the ledger's cause."""

    name: str
    status: AccountStatus
    liquidation_mode: LiquidationMode
    reason: str
    account: AccountSnapshot


class TradingStateChanged(Event, frozen=True, kw_only=True, tag="trading_state"):
    """The trading state of the account (or, with subAccountId "*", of all) and symbol (or all) is another."""

    state: TradingState
    symbol: str | None
    reason: str


class ReconciliationDrift(Event, frozen=True, kw_only=True, tag="reconciliation_drift"):
    """Σ virtual positions and the exchange differ on a symbol, confirmed twice; quantities are signed base coin."""

    symbol: str
    position_side: Literal["BOTH", "LONG", "SHORT"]
    virtual_qty: Decimal
    exchange_qty: Decimal
    difference: Decimal
    frozen: bool
