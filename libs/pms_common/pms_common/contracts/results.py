"""Answers to commands: one success class a command, one failure for all.

Put under `pms:result:{requestId}` and published on the channel of that name by whoever ends the request.
Used by risk, orders and algos to write, by the gateway and the CLI to read. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from pms_common.contracts.account import AccountSnapshot, AccountStatus
from pms_common.contracts.base import OrderState, PositionSide, Side, TradingState, Wire, always
from pms_common.contracts.commands.admin import AccountAction
from pms_common.contracts.errors import CommandError, FieldError

RESULT_TTL_S = 30


class Success(Wire, frozen=True, kw_only=True):
    """What every success carries. `warnings` name fields of the command that are unknown; `traceparent` is there where
    the command had one, or is traced."""

    success: Literal[True] = always(True)
    request_id: str
    warnings: tuple[str, ...] | None = None
    traceparent: str | None = None


class Failure(Wire, frozen=True, kw_only=True):
    """A refusal or failure; `error` is one readable sentence and always a string."""

    success: Literal[False] = always(False)
    request_id: str
    error: str
    error_code: str
    error_category: str
    retryable: bool
    errors: tuple[FieldError, ...]
    details: dict[str, Any] | None = None
    warnings: tuple[str, ...] | None = None
    traceparent: str | None = None


def failure(error: CommandError, request_id: str, warnings: Sequence[str] = ()) -> Failure:
    """The answer that tells `error` to the sender of `request_id`."""
    return Failure(
        request_id=request_id,
        error=error.message,
        error_code=error.code.name,
        error_category=error.code.category.value,
        retryable=error.code.retryable,
        errors=error.errors,
        details=error.details,
        warnings=tuple(warnings) or None,
    )


class OrderResult(Wire, frozen=True, kw_only=True):
    """An order in a result. From `filledQty` on: given when it was waited for its end."""

    client_order_id: str
    order_id: str
    exchange_order_id: str | None
    state: OrderState
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    filled_qty: Decimal | None = None
    avg_fill_price: Decimal | None = None
    fee: Decimal | None = None
    realized_pnl: Decimal | None = None


class OrderDone(OrderResult, frozen=True, kw_only=True):
    """Answer to `trade`, `limit`, `limit_close`, `amend` and `cancel`.

    A flip (a closing and an opening child) lists both in `orders`; the fields beside it are the opening one's.
    """

    success: Literal[True] = always(True)
    request_id: str
    warnings: tuple[str, ...] | None = None
    flipped: bool | None = None
    orders: tuple[OrderResult, ...] | None = None


class ScaleLevelResult(Wire, frozen=True, kw_only=True):
    """One level: its order id, or why it was not placed."""

    success: bool
    price: Decimal
    quantity: Decimal
    order_id: str | None = None
    error: str | None = None
    error_code: str | None = None


class ScaleDone(Success, frozen=True, kw_only=True):
    """Answer to `scale` with at least one level placed."""

    placed: int
    failed: int
    total: int
    results: tuple[ScaleLevelResult, ...]


class BasketPosition(Wire, frozen=True, kw_only=True):
    """The position a basket leg has led to."""

    id: str
    entry_price: Decimal
    quantity: Decimal
    notional: Decimal
    margin: Decimal


class BasketTrade(Wire, frozen=True, kw_only=True):
    """What a basket leg has traded; null where only the exchange's acknowledgement was waited for."""

    client_order_id: str
    price: Decimal | None
    quantity: Decimal
    notional: Decimal | None
    position: BasketPosition | None


class BasketLegResult(Wire, frozen=True, kw_only=True):
    """One leg; `trade` is null for a failed one, `errors` for a successful one."""

    symbol: str
    side: Side
    success: bool
    trade: BasketTrade | None
    errors: tuple[FieldError, ...] | None


class BasketDone(Success, frozen=True, kw_only=True):
    """Answer to `basket` with at least one leg executed."""

    basket_name: str
    total: int
    succeeded: int
    failed: int
    results: tuple[BasketLegResult, ...]


class ClosedPosition(Wire, frozen=True, kw_only=True):
    """The position after a close."""

    id: str
    symbol: str
    side: PositionSide
    status: Literal["OPEN", "CLOSED"]
    remaining_qty: Decimal


class CloseTrade(Wire, frozen=True, kw_only=True):
    """What a close has traded, over all its orders; `realizedPnl` is after fees."""

    price: Decimal
    quantity: Decimal
    realized_pnl: Decimal
    fee: Decimal
    action: Literal["CLOSE"] = always("CLOSE")


class CloseDone(Success, frozen=True, kw_only=True):
    """Answer to `close`; with `waitFor: ack`, `trade` and `newBalance` are null.

    The ids are null where the position was too small for the exchange, and the house has taken it over at the mark.
    """

    client_order_id: str | None
    order_id: str | None
    position: ClosedPosition
    trade: CloseTrade | None
    new_balance: Decimal | None
    orders: tuple[OrderResult, ...] | None = None


class CloseAllItem(Wire, frozen=True, kw_only=True):
    """One position: its realised PnL, or why it is still open."""

    position_id: str
    symbol: str
    success: bool
    pnl: Decimal | None = None
    error: str | None = None
    error_code: str | None = None


class CloseAllDone(Success, frozen=True, kw_only=True):
    """Answer to `close_all`; `total` and `results` are 0 and empty when nothing was open."""

    closed: int
    total: int
    cancelled: int
    results: tuple[CloseAllItem, ...]


class CancelAllDone(Success, frozen=True, kw_only=True):
    """Answer to `cancel_all`; orders that had filled meanwhile count as failed."""

    cancelled: int
    failed: int
    total: int


class ComputedValues(Wire, frozen=True, kw_only=True):
    """What the validator computed, in USDT; null where a failed check left it unknown."""

    price: Decimal | None
    notional: Decimal | None
    required_margin: Decimal | None
    available_balance: Decimal | None
    current_exposure: Decimal | None
    equity: Decimal | None
    maintenance_margin: Decimal | None


class ValidateDone(Success, frozen=True, kw_only=True):
    """Answer to `validate`: the check was made; `valid` and `errors` tell how it ended."""

    valid: bool
    errors: tuple[FieldError, ...]
    computed_values: ComputedValues


class AccountDone(Success, frozen=True, kw_only=True):
    """Answer to `account`; `account` is the snapshot after it."""

    sub_account_id: str
    action: AccountAction
    name: str
    status: AccountStatus
    balance: Decimal
    account: AccountSnapshot


class TradingStateDone(Success, frozen=True, kw_only=True):
    """Answer to `trading_state`; without account or symbol it holds for all of them."""

    state: TradingState
    sub_account_id: str | None
    symbol: str | None
