"""Sums of live orders kept by difference equal sums made anew, whatever comes and goes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pms_risk.domain.order_side import OrderSide
from pms_risk.domain.orders import LiveOrder

ORDER = LiveOrder(
    client_order_id="", account_id="a", symbol="BTCUSDT", leg="BOTH", side="BUY", order_type="LIMIT", reduce_only=False,
    quantity=Decimal(1), price=Decimal(1), bound=Decimal(1), leverage=Decimal(10), origin="MANUAL", parent_id=None,
    approved_ms=0,
)  # fmt: skip
amounts = st.integers(1, 9).map(Decimal)
steps = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["put", "change", "drop"]), amounts, amounts, amounts),
    max_size=40,
)


def opening(orders: list[LiveOrder], closable: Decimal) -> Decimal:
    """The rule as it reads: the cheapest close, the rest opens."""
    total = Decimal(0)
    for order in sorted(orders, key=lambda order: order.bound):
        closes = min(closable, order.remaining)
        closable -= closes
        total += (order.remaining - closes) * order.bound
    return total


@given(steps, st.integers(0, 30).map(Decimal))
def test_sums_by_difference_equal_sums_made_anew(moves: list[Any], closable: Decimal) -> None:
    side = OrderSide()
    live: dict[str, LiveOrder] = {}
    for name, move, quantity, bound, leverage in moves:
        if move == "put":
            order = replace(
                ORDER, client_order_id=name, quantity=quantity, bound=bound, leverage=leverage, reduce_only=bound > 5
            )
            live[name] = order
            side.put(order)
        elif name in live and move == "change":
            side.change(live[name], quantity + 1, bound, Decimal(1))
        elif name in live:
            del live[name]
            side.drop(name)
    orders = list(live.values())
    assert side.quantity == sum(order.remaining for order in orders)
    assert side.notional == sum(order.remaining * order.bound for order in orders)
    assert side.reduce_only == sum(order.reduce_only for order in orders)
    assert bool(side) == bool(orders)
    if orders:
        assert side.leverage == min(order.leverage for order in orders)
        assert side.opening_notional(closable) == opening(orders, closable)
