"""The venue's JSON: what we read of it, and what it means in our terms.

Owns the decoders (msgspec, typed, unknown fields skipped) and the mapping to reports. Never does I/O.
Source of the names: the venue's pages Event-Order-Update, Event-Balance-and-Position-Update, Query-Order, Account.
"""

from decimal import Decimal

import msgspec

from pms_common.contracts.bus.base import PositionSide, Side
from pms_common.contracts.bus.orders import Fill
from pms_common.decimals import ZERO
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind


class FeedOrder(
    msgspec.Struct,
    rename={
        "symbol": "s",
        "side": "S",
        "position_side": "ps",
        "client_order_id": "c",
        "execution": "x",
        "status": "X",
        "exchange_order_id": "i",
        "quantity": "q",
        "price": "p",
        "average_price": "ap",
        "executed": "z",
        "last_quantity": "l",
        "last_price": "L",
        "commission": "n",
        "commission_asset": "N",
        "trade_ms": "T",
        "trade_id": "t",
        "maker": "m",
        "realized_pnl": "rp",
    },
):
    """The `o` of ORDER_TRADE_UPDATE."""

    symbol: str
    side: Side
    client_order_id: str
    execution: str
    status: str
    exchange_order_id: int
    quantity: Decimal
    price: Decimal
    average_price: Decimal
    executed: Decimal
    last_quantity: Decimal
    last_price: Decimal
    trade_ms: int
    trade_id: int
    position_side: PositionSide = "BOTH"
    maker: bool = False
    commission: Decimal | None = None
    commission_asset: str | None = None
    realized_pnl: Decimal = ZERO


class OrderTradeUpdate(msgspec.Struct, tag_field="e", tag="ORDER_TRADE_UPDATE", rename={"order": "o", "event_ms": "T"}):
    """An order changed."""

    order: FeedOrder
    event_ms: int


class TradeLite(
    msgspec.Struct,
    tag_field="e",
    tag="TRADE_LITE",
    rename={"symbol": "s", "client_order_id": "c", "exchange_order_id": "i", "trade_id": "t"},
):
    """A hint that a fill is on its way; the booking event is ORDER_TRADE_UPDATE."""

    symbol: str
    client_order_id: str
    exchange_order_id: int
    trade_id: int


class FeedBalance(msgspec.Struct, rename={"asset": "a", "wallet": "wb", "change": "bc"}):
    """One asset of ACCOUNT_UPDATE; `change` leaves out what executions earned and cost."""

    asset: str
    wallet: Decimal
    change: Decimal = ZERO


class FeedPosition(
    msgspec.Struct, rename={"symbol": "s", "quantity": "pa", "entry_price": "ep", "position_side": "ps"}
):
    """One position of ACCOUNT_UPDATE."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    position_side: PositionSide = "BOTH"


class FeedAccount(msgspec.Struct, rename={"cause": "m", "balances": "B", "positions": "P", "symbol": "S"}):
    """The `a` of ACCOUNT_UPDATE; only a funding names its symbol, since August 2026."""

    cause: str = ""
    balances: list[FeedBalance] = []
    positions: list[FeedPosition] = []
    symbol: str = ""


class AccountUpdate(msgspec.Struct, tag_field="e", tag="ACCOUNT_UPDATE", rename={"account": "a", "event_ms": "T"}):
    """Balances and positions changed."""

    account: FeedAccount
    event_ms: int


class FeedLeverage(msgspec.Struct, rename={"symbol": "s", "leverage": "l"}):
    """The `ac` of ACCOUNT_CONFIG_UPDATE."""

    symbol: str
    leverage: int


class AccountConfigUpdate(msgspec.Struct, tag_field="e", tag="ACCOUNT_CONFIG_UPDATE", rename={"changed": "ac"}):
    """A symbol's leverage, or without one the account's margin mode, was changed."""

    changed: FeedLeverage | None = None


class MarginCall(msgspec.Struct, tag_field="e", tag="MARGIN_CALL"):
    """The pooled account is near its liquidation; advisory, and may come after it."""


class ListenKeyExpired(msgspec.Struct, tag_field="e", tag="listenKeyExpired"):
    """The stream is silent from here on."""


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What a decoder raises for bytes that are not what they should be: text that is not UTF-8 is told by the second."""

FeedEvent = OrderTradeUpdate | TradeLite | AccountUpdate | AccountConfigUpdate | MarginCall | ListenKeyExpired
USER_EVENTS = (
    *("ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"),
    *("ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL", "listenKeyExpired"),
)
"""The events of the user stream that we read, by the venue's names."""


class _Name(msgspec.Struct):
    e: str = ""


_feed: msgspec.json.Decoder[FeedEvent] = msgspec.json.Decoder(FeedEvent)
_name = msgspec.json.Decoder(_Name)


def decode_event(payload: bytes | memoryview) -> FeedEvent | None:
    """An event of the user stream; None for kinds we do not read. Raises one of `UNREADABLE` for garbage."""
    try:
        return _feed.decode(payload)
    except msgspec.ValidationError:
        if _name.decode(payload).e in USER_EVENTS:
            raise
        return None


_EXECUTIONS = {
    "NEW": Kind.NEW,
    "CANCELED": Kind.CANCELLED,
    "EXPIRED": Kind.EXPIRED,
    "AMENDMENT": Kind.AMENDED,
}
_FEED_STATUSES = {
    "NEW": Kind.NEW,
    "NEW_INSURANCE": Kind.NEW,
    "NEW_ADL": Kind.NEW,
    "PARTIALLY_FILLED": Kind.NEW,
    "CANCELED": Kind.CANCELLED,
    "EXPIRED": Kind.EXPIRED,
    "EXPIRED_IN_MATCH": Kind.EXPIRED,
    "REJECTED": Kind.EXPIRED,
}


def feed_report(event: OrderTradeUpdate) -> Report | None:
    """What an ORDER_TRADE_UPDATE means. An execution type that is not known counts by its status; None without one.

    CALCULATED is an execution like TRADE (liquidation, ADL, settlement); without a quantity the order is only new.
    """
    order = event.order
    kind = _EXECUTIONS.get(order.execution)
    fill = None
    if kind is None and not order.last_quantity:
        kind = _FEED_STATUSES.get(order.status)
        if kind is None:
            return None
    if kind is None:
        kind = Kind.FILLED if order.status == "FILLED" else Kind.TRADE
        fill = Fill(
            trade_id=order.trade_id,
            price=order.last_price,
            quantity=order.last_quantity,
            commission=order.commission or ZERO,
            commission_asset=order.commission_asset or "",
            realized_pnl=order.realized_pnl,
            maker=order.maker,
            trade_ms=order.trade_ms,
        )
    return Report(
        kind,
        order.symbol,
        order.client_order_id,
        order.exchange_order_id,
        event.event_ms,
        order.quantity,
        order.price,
        order.executed,
        order.average_price,
        fill,
        order.status,
    )


class QueriedOrder(msgspec.Struct, rename="camel"):
    """An order as GET order and GET openOrders tell it."""

    order_id: int
    symbol: str
    status: str
    client_order_id: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    update_time: int
    avg_price: Decimal | None = None


_STATUSES = {
    "NEW": Kind.FOUND_OPEN,
    "PARTIALLY_FILLED": Kind.FOUND_OPEN,
    "FILLED": Kind.FOUND_FILLED,
    "CANCELED": Kind.FOUND_CANCELLED,
    "EXPIRED": Kind.FOUND_EXPIRED,
    "EXPIRED_IN_MATCH": Kind.FOUND_EXPIRED,
    "REJECTED": Kind.FOUND_EXPIRED,
}


def query_report(order: QueriedOrder) -> Report:
    """What a query found."""
    return Report(
        _STATUSES.get(order.status, Kind.FOUND_OPEN),  # a status we do not know is of an order that exists
        order.symbol,
        order.client_order_id,
        order.order_id,
        order.update_time,
        order.orig_qty,
        order.price,
        order.executed_qty,
        order.avg_price,
        None,
        order.status,
    )


class AccountTrade(msgspec.Struct, rename="camel"):
    """A line of userTrades."""

    symbol: str
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    maker: bool
    time: int


def trade_report(trade: AccountTrade, client_order_id: str, completes: bool) -> Report:
    """A trade from the list; `completes` says that with it the order, known to be filled, is whole."""
    fill = Fill(
        trade_id=trade.id,
        price=trade.price,
        quantity=trade.qty,
        commission=trade.commission,
        commission_asset=trade.commission_asset,
        realized_pnl=trade.realized_pnl,
        maker=trade.maker,
        trade_ms=trade.time,
    )
    kind = Kind.FILLED if completes else Kind.TRADE
    return Report(kind, trade.symbol, client_order_id, trade.order_id, trade.time, fill=fill)


class Asset(msgspec.Struct, rename="camel"):
    """One asset of the balance list."""

    asset: str
    balance: Decimal
    update_time: int = 0


class PositionRisk(msgspec.Struct, rename="camel"):
    """One line of positionRisk."""

    symbol: str
    position_side: PositionSide
    position_amt: Decimal
    entry_price: Decimal
    update_time: int = 0


queried_order = msgspec.json.Decoder(QueriedOrder)
queried_orders = msgspec.json.Decoder(list[QueriedOrder])
account_trades = msgspec.json.Decoder(list[AccountTrade])
assets = msgspec.json.Decoder(list[Asset])
positions = msgspec.json.Decoder(list[PositionRisk])


class CommissionRate(msgspec.Struct, rename="camel"):
    """The account's fee rates as fractions of the notional."""

    maker_commission_rate: Decimal
    taker_commission_rate: Decimal


commission_rate = msgspec.json.Decoder(CommissionRate)


class ServerTime(msgspec.Struct, rename="camel"):
    """The venue's time in milliseconds."""

    server_time: int


class ListenKey(msgspec.Struct, rename="camel"):
    """The key of the user stream."""

    listen_key: str


server_time = msgspec.json.Decoder(ServerTime)
listen_key = msgspec.json.Decoder(ListenKey)
