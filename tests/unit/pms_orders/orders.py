"""Orders and reports for tests."""

from decimal import Decimal
from typing import Any

import msgspec

from pms_common.contracts.bus.orders import Fill, PlaceOrder, SymbolSpec
from pms_orders.domain.order import OrderState, register
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind

NOW = 1_700_000_000_000


def place(name: str = "PMS_a_LMT_1", **fields: Any) -> PlaceOrder:
    given: dict[str, Any] = {
        "client_order_id": name,
        "account_id": "a",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "order_type": "LIMIT",
        "quantity": "10",
        "price": "100",
        "time_in_force": "GTC",
        "leverage": "1",
        "approved_ms": NOW,
        **fields,
    }
    return msgspec.convert(given, PlaceOrder, strict=False)


def sent(name: str = "PMS_a_LMT_1", **fields: Any) -> OrderState:
    order = register(place(name, **fields), NOW)
    order.sent_ms = NOW
    return order


def report(kind: Kind, **fields: Any) -> Report:
    given: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "client_order_id": "PMS_a_LMT_1",
        "exchange_order_id": 7,
        "event_ms": NOW + 1,
        **fields,
    }
    return Report(kind, **given)


def trade(trade_id: int, quantity: str, executed: str | None, kind: Kind = Kind.TRADE, price: str = "100") -> Report:
    fill = Fill(
        trade_id=trade_id,
        price=Decimal(price),
        quantity=Decimal(quantity),
        commission=Decimal("0.1"),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        maker=False,
        trade_ms=NOW,
    )
    return report(kind, fill=fill, executed=None if executed is None else Decimal(executed))


def spec(**fields: Any) -> SymbolSpec:
    given: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "margin_asset": "USDT",
        "tick_size": "0.1",
        "min_price": "1",
        "max_price": "100000",
        "step_size": "0.001",
        "min_quantity": "0.001",
        "max_quantity": "1000",
        "market_step_size": "0.001",
        "market_min_quantity": "0.001",
        "market_max_quantity": "120",
        "min_notional": "5",
        "percent_price_up": "1.05",
        "percent_price_down": "0.95",
        "max_orders": 200,
        "market_take_bound": "0.05",
        **fields,
    }
    return msgspec.convert(given, SymbolSpec, strict=False)
