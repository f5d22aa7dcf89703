"""Symbols, plans and updates for the chase's tests."""

from decimal import Decimal

from pms_algos.domain.actions import Gate, Market
from pms_algos.domain.chase_state import ChasePlan
from pms_common.contracts.bus.base import OrderStatus
from pms_common.contracts.bus.orders import Cause, OrderUpdate, OrderView, SymbolSpec

D = Decimal
NONE, ONE, HUNDRED = D(0), D(1), D(100)


def spec(**changes: object) -> SymbolSpec:
    values: dict[str, object] = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "margin_asset": "USDT",
        "tick_size": D("0.1"),
        "min_price": D("0.1"),
        "max_price": D(1_000_000),
        "step_size": D("0.001"),
        "min_quantity": D("0.001"),
        "max_quantity": D(1000),
        "market_step_size": D("0.001"),
        "market_min_quantity": D("0.001"),
        "market_max_quantity": D(100),
        "min_notional": D(5),
        "percent_price_up": D("1.05"),
        "percent_price_down": D("0.95"),
        "max_orders": 200,
        "market_take_bound": D("0.05"),
    }
    return SymbolSpec(**{**values, **changes})  # type: ignore[arg-type]


def market(bid: str | Decimal, ask: str | Decimal, gate: Gate = "active", **changes: object) -> Market:
    return Market(D(bid), D(ask), spec(**changes), gate)


def plan(**changes: object) -> ChasePlan:
    values: dict[str, object] = {
        "algo_id": "chase_1",
        "account_id": "acc",
        "request_id": "r1",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": D(1),
        "leverage": D(10),
        "anchor": D(100),
        "started_ms": 1_000_000,
    }
    return ChasePlan(**{**values, **changes})  # type: ignore[arg-type]


def update(
    cause: Cause,
    state: OrderStatus,
    *,
    side: str = "BUY",
    quantity: Decimal = ONE,
    price: Decimal | None = HUNDRED,
    executed: Decimal = NONE,
    **changes: object,
) -> OrderUpdate:
    order = OrderView(
        client_order_id="c",
        account_id="acc",
        symbol="BTCUSDT",
        side=side,  # type: ignore[arg-type]
        order_type="LIMIT",
        quantity=quantity,
        price=price,
        leverage=D(10),
        state=state,
        executed_quantity=executed,
        average_price=price if executed else None,
        version=1,
        created_ms=1,
        updated_ms=1,
    )
    return OrderUpdate(epoch=1, n=1, key="k", cause=cause, order=order, event_ms=1, **changes)  # type: ignore[arg-type]
