"""Operators' commands: accounts and their rules, and the trading state. Read from `pms:op:*` only."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pms_common.contracts.base import LiquidationMode, MaintenanceMode, MarginMode, TradingState
from pms_common.contracts.commands.base import AccountRule, Command, Owner, StreamKind
from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.rules import Bool, Id, Integer, Leverage, Number, OneOf, Report, Symbol, SymbolName, Usdt
from pms_common.contracts.shapes import ListOf

AccountAction = Literal[
    "create", "deposit", "withdraw", "freeze", "unfreeze", "set_rules", "set_mode", "takeover", "assign"
]
ALL_SYMBOLS = "*"

_RULES = {
    "max_leverage": "maxLeverage",
    "max_notional_per_trade": "maxNotionalPerTrade",
    "max_total_exposure": "maxTotalExposure",
    "liquidation_threshold": "liquidationThreshold",
    "allowed_symbols": "allowedSymbols",
    "max_open_orders": "maxOpenOrders",
    "max_daily_loss": "maxDailyLoss",
    "max_orders_per_minute": "maxOrdersPerMinute",
}
_MODES = {
    "liquidation_mode": "liquidationMode",
    "maintenance_mode": "maintenanceMode",
    "maintenance_rate": "maintenanceRate",
    "margin_mode": "marginMode",
}
_AMOUNT = {"amount": "amount", "allow_unfunded": "allowUnfunded"}
_FIELDS: dict[str, dict[str, str]] = {
    "create": {"name": "name", "balance": "balance"},
    "deposit": _AMOUNT,
    "withdraw": _AMOUNT,
    "freeze": {},
    "unfreeze": {},
    "set_rules": _RULES,
    "set_mode": _MODES,
    "takeover": {"position_id": "positionId"},
    "assign": {"symbol": "symbol", "exchange_order_id": "exchangeOrderId"},
}
_NAMES = {attribute: name for fields in _FIELDS.values() for attribute, name in fields.items()}
_REQUIRED: dict[str, tuple[str, ...]] = {
    "create": ("name",),
    "deposit": ("amount",),
    "withdraw": ("amount",),
    "takeover": ("position_id",),
    "assign": ("symbol", "exchange_order_id"),
}


class SymbolOrAll(SymbolName):
    """A symbol, or `*` for all."""

    def read(self, value: object, path: str, report: Report) -> Any:
        return ALL_SYMBOLS if value == ALL_SYMBOLS else super().read(value, path, report)


class Account(Command, frozen=True, kw_only=True):
    """Everything operators do to an account; `action` decides which fields are needed and which are refused.

    `create` takes the id from `sub_account_id`, or makes one; `deposit` and `withdraw` move `amount` between house
    and account; `set_rules` and `set_mode` change what is given and leave the rest; `allowed_symbols` of `["*"]`
    allows all again, a `max_daily_loss` or `max_orders_per_minute` of 0 lifts that limit; `margin_mode` concerns the
    positions that open from then on, `maintenance_mode` and the others all of them; `takeover` moves a position
    to the house, at the mark and after the account's closers of it have been cancelled.
    """

    TYPE: ClassVar[str] = "account"
    STREAM: ClassVar[StreamKind] = "op"
    ACCOUNT: ClassVar[AccountRule] = "free"
    action: Annotated[AccountAction, OneOf(tuple(_FIELDS))]
    name: Id | None = None
    balance: Annotated[Decimal | None, Number(ge=0)] = None
    amount: Usdt | None = None
    allow_unfunded: Bool = False
    max_leverage: Leverage | None = None
    max_notional_per_trade: Usdt | None = None
    max_total_exposure: Usdt | None = None
    liquidation_threshold: Annotated[Decimal | None, Number(gt=0, le=1)] = None
    allowed_symbols: Annotated[tuple[str, ...] | None, ListOf(SymbolOrAll(), 1_000)] = None
    max_open_orders: Annotated[int | None, Integer(1, 10_000)] = None
    max_daily_loss: Annotated[Decimal | None, Number(ge=0)] = None
    max_orders_per_minute: Annotated[int | None, Integer(0, 100_000)] = None
    liquidation_mode: Annotated[LiquidationMode | None, OneOf(("ADL_30", "INSTANT_CLOSE", "TAKEOVER"))] = None
    maintenance_mode: Annotated[MaintenanceMode | None, OneOf(("flat", "brackets"))] = None
    maintenance_rate: Annotated[Decimal | None, Number(gt=0, le=1)] = None
    margin_mode: Annotated[MarginMode | None, OneOf(("cross", "isolated"))] = None
    position_id: Id | None = None
    symbol: Symbol | None = None
    exchange_order_id: Annotated[int | None, Integer(1, 2**63 - 1)] = None

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        action = given.get("action")
        if action is None:
            return
        fields = _FIELDS[action]
        for attribute in _REQUIRED.get(action, ()):
            if attribute not in given:
                report.refuse(fields[attribute], f"is required for {action}")
        if action in ("set_rules", "set_mode") and not given.keys() & fields.keys():
            report.refuse("action", f"{action} needs one of {', '.join(fields.values())}")
        for attribute in _NAMES.keys() & given.keys() - fields.keys():
            report.refuse(_NAMES[attribute], f"has no meaning for {action}")
        if action not in ("create", "takeover") and "sub_account_id" not in given:
            code = ErrorCode.VALIDATION_SUBACCOUNT_REQUIRED
            report.refuse("subAccountId", f"is required for {action}", code)


class SetTradingState(Command, frozen=True, kw_only=True):
    """Set the trading state globally, of one account, of one symbol, or of one account on one symbol.

    Read by risk, orders and algos alike, so that it works with any of them down; risk answers.
    `cancel` also cancels what rests there.
    """

    TYPE: ClassVar[str] = "trading_state"
    STREAM: ClassVar[StreamKind] = "op"
    ACCOUNT: ClassVar[AccountRule] = "free"
    READERS: ClassVar[tuple[Owner, ...]] = ("risk", "orders", "algos")
    state: Annotated[TradingState, OneOf(("active", "reducing", "halted"))]
    symbol: Symbol | None = None
    cancel: Bool = False
