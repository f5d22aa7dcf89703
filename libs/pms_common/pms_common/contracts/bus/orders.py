"""Messages to and from the order service.

Owns: approved orders (risk → orders), changes (algos → orders), order updates with fills (orders → all) and the
order view they carry. Used by risk, orders, algos and the gateway.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.bus.base import Message, OrderStatus, Origin, PositionSide, Side, Update

OrderType = Literal["MARKET", "LIMIT"]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX", "GTD"]
SelfTradePrevention = Literal["EXPIRE_TAKER", "EXPIRE_MAKER"]
Cause = Literal[
    "accepted",  # the exchange took the order (its acknowledgement, where the feed has not spoken soon after)
    "active",  # the feed says it rests
    "fill",  # one execution, `fill` tells which
    "amended",
    "amend_failed",
    "cancel_failed",
    "cancelled",
    "expired",
    "rejected",  # refused by the exchange
    "failed",  # definitely never executed
    "unknown",  # outcome not known, being resolved
    "snapshot",  # answer to a question, nothing happened
]


class PlaceOrder(Message, frozen=True, kw_only=True, tag="place"):
    """An order that risk has approved, to be sent at most once under its client order id.

    `price_cap` and `notional_cap` bound later amends: a BUY may not be priced above, a SELL not below the cap.
    `asked_ms` is the time of the request's entry, by which barriers stop it (0: `approved_ms`).
    `answer` says that the order service ends the public request `request_id` when the exchange has answered, naming
    its `warnings`. `traceparent` is the context of the step that approved it, as everywhere in these messages.
    """

    client_order_id: str
    account_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    good_till_ms: int | None = None
    position_side: PositionSide = "BOTH"
    reduce_only: bool = False
    reduce_only_on_venue: bool = False
    self_trade_prevention: SelfTradePrevention = "EXPIRE_TAKER"
    leverage: Decimal
    origin: Origin = "MANUAL"
    parent_id: str | None = None
    request_id: str = ""
    command: str = ""
    answer: bool = False
    warnings: tuple[str, ...] = ()
    expires_at_ms: int | None = None
    price_cap: Decimal | None = None
    notional_cap: Decimal | None = None
    approved_ms: int
    asked_ms: int = 0
    traceparent: str = ""


class AmendOrder(Message, frozen=True, kw_only=True, tag="amend"):
    """New price and total quantity of a live order; the newest target wins while an earlier one waits.

    `replace_as`: where the order cannot be amended, cancel it and place what is left under this client order id, once
    it has ended. Empty: `amend_failed` tells, and the order stays as it is.
    """

    client_order_id: str
    account_id: str
    symbol: str
    price: Decimal
    quantity: Decimal
    replace_as: str = ""
    traceparent: str = ""


class CancelOrder(Message, frozen=True, kw_only=True, tag="cancel"):
    """Cancel one order; its final state comes from the feed or a query, never from the acknowledgement."""

    client_order_id: str
    account_id: str
    symbol: str = ""
    reason: str = "requested"


class RaiseBarrier(Message, frozen=True, kw_only=True, tag="barrier"):
    """What was asked for an account until `at_ms` is not to be sent any more: on one symbol, or on all (empty).

    A close at market goes all the same.
    """

    account_id: str
    symbol: str = ""
    at_ms: int


OrderWork = PlaceOrder | AmendOrder | CancelOrder | RaiseBarrier
order_work = msgspec.json.Decoder(OrderWork)


class OrderView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order as its owner knows it. `version` rises with every change; a reader applies only higher ones.

    `notional_cap` is the most the order was approved for, as in its PlaceOrder. `traceparent` is the context of its
    placement, or of a command that has changed it since.
    """

    client_order_id: str
    account_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    position_side: PositionSide = "BOTH"
    reduce_only: bool = False
    leverage: Decimal
    origin: Origin = "MANUAL"
    parent_id: str | None = None
    request_id: str = ""
    command: str = ""
    price_cap: Decimal | None = None
    notional_cap: Decimal | None = None
    state: OrderStatus
    exchange_order_id: int | None = None
    executed_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    version: int
    created_ms: int
    updated_ms: int
    traceparent: str = ""


class Fill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution, unique by (symbol, trade id, exchange order id).

    `realized_pnl` is the exchange's `rp` (by the pooled entry price); `commission` is positive when paid.
    """

    trade_id: int
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    maker: bool
    trade_ms: int


class OrderUpdate(Update, frozen=True, kw_only=True, tag="order"):
    """What happened to an order, with the order after it.

    `key` names the happening itself (not its publication): a replay carries the same key and readers drop it.
    """

    key: str
    cause: Cause
    order: OrderView
    fill: Fill | None = None
    reason: str | None = None
    error_code: str | None = None
    error: str | None = None
    event_ms: int


class AssetBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Wallet balance of one asset at the exchange; where a payment changed it, by how much."""

    asset: str
    wallet: Decimal
    change: Decimal | None = None


class ExchangePosition(msgspec.Struct, frozen=True, kw_only=True):
    """Position of the exchange account, signed: negative is short."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal


class ExchangeAccount(Update, frozen=True, kw_only=True, tag="exchange_account"):
    """Facts about the pooled exchange account: only what changed, or all when `complete`.

    `trade_ms` is the trade time of the last execution they include, where an execution was the cause; `symbol` is named
    by a funding payment. When complete they include exactly what changed until `as_of_ms`, in the exchange's time.
    """

    complete: bool = False
    trade_ms: int | None = None
    as_of_ms: int | None = None
    cause: str = ""
    symbol: str = ""
    balances: list[AssetBalance] = []
    positions: list[ExchangePosition] = []
    event_ms: int


class SymbolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Trading rules of a symbol, from exchangeInfo; a zero bound means none."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    tick_size: Decimal
    min_price: Decimal
    max_price: Decimal
    step_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    market_step_size: Decimal
    market_min_quantity: Decimal
    market_max_quantity: Decimal
    min_notional: Decimal
    percent_price_up: Decimal
    percent_price_down: Decimal
    max_orders: int
    market_take_bound: Decimal


class Reference(Update, frozen=True, kw_only=True, tag="reference"):
    """Trading rules of some symbols (several entries make the whole) and the account's fee rates."""

    symbols: list[SymbolSpec]
    maker_fee: Decimal
    taker_fee: Decimal


class OrdersReady(Update, frozen=True, kw_only=True, tag="orders_ready"):
    """Whether the order service takes new risk: reconciled, user stream alive, clock known."""

    ready: bool
    why: str = ""
