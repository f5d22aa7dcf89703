"""R-16, R-17: the comparison with the exchange loses no object between its piles."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, sent, spec

from pms_common.contracts.bus.exchange import Tally
from pms_common.contracts.bus.orders import ExchangePosition, Fill
from pms_orders.domain.foreign import Execution
from pms_orders.domain.order import OrderState
from pms_orders.domain.reconciliation import compare_orders, compare_trades, judge_positions
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind

ids = st.integers(1, 12)


def fill(trade_id: int) -> Fill:
    money = dict.fromkeys(("price", "quantity", "commission", "realized_pnl"), Decimal(1))
    return Fill(trade_id=trade_id, commission_asset="USDT", maker=False, trade_ms=NOW, **money)


def known_orders(numbers: list[int], trades: list[tuple[int, int]]) -> dict[int, OrderState]:
    orders = {}
    for number in numbers:
        order = orders[number] = sent(f"o{number}")
        order.exchange_order_id = number
        order.trades = {trade for owner, trade in trades if owner == number}
        order.booked = Decimal(len(order.trades))
    return orders


@given(st.lists(ids, unique=True), st.lists(ids, unique=True), st.integers(0, 2))
def test_r17_no_order_is_lost_between_the_piles(ours: list[int], listed: list[int], executed: int) -> None:
    orders = known_orders(ours, [])
    reports = [Report(Kind.FOUND_OPEN, "S", f"o{n}", n, NOW, executed=Decimal(executed)) for n in listed]
    found = compare_orders(orders.values(), reports, lambda _symbol, number, _name: orders.get(number))
    assert found.matched + len(found.unknown) == len(listed)
    assert len(found.reports) + len(found.doubtful) == len(ours)
    assert {report.exchange_order_id for report in found.unknown} == set(listed) - set(ours)
    expected = set(ours) if executed else set(ours) - set(listed)
    assert {order.exchange_order_id for order in found.doubtful} == expected


def test_r17_an_open_order_that_is_shown_as_known_needs_no_report() -> None:
    order = sent("o1")
    order.exchange_order_id, order.status, order.terms_ms, order.flight = 1, "active", NOW, None
    order.price = Decimal(5)
    shown = Report(Kind.FOUND_OPEN, "S", "o1", 1, NOW, order.quantity, order.price, Decimal(0))

    def reports(**changes: Any) -> list[Report]:
        found = compare_orders([order], [replace(shown, **changes)], lambda *_: order)
        assert found.matched == 1
        return found.reports

    assert reports() == reports(event_ms=NOW - 1) == []
    for change in (
        {"event_ms": NOW + 1},
        {"price": Decimal(6)},
        {"quantity": order.quantity + 1},
        {"kind": Kind.FOUND_FILLED},
    ):
        assert len(reports(**change)) == 1, change
    order.status = "cancelling"
    assert len(reports()) == 1


pairs = st.lists(st.tuples(ids, ids), unique_by=lambda pair: pair[1])


@given(st.lists(ids, unique=True), pairs, pairs)
def test_r17_no_execution_is_lost_between_the_piles(
    ours: list[int], booked: list[tuple[int, int]], listed: list[tuple[int, int]]
) -> None:
    orders = known_orders(ours, booked)
    executions = [Execution("S", owner, "BUY", "BOTH", fill(trade)) for owner, trade in listed]
    found = compare_trades(executions, lambda _symbol, number, _name: orders.get(number))
    assert found.matched + len(found.missing) + len(found.unknown) == len(listed)
    assert all(execution.exchange_order_id not in orders for execution in found.unknown)
    assert [report.fill.trade_id for report in found.missing if report.fill] == sorted(
        trade for owner, trade in listed if owner in orders and (owner, trade) not in booked
    )


def test_r16_positions_of_any_age_leg_and_symbol_are_counted() -> None:
    coin = msgspec.structs.replace(spec(), symbol="BTCUSD_PERP", margin_asset="BTC")
    specs = {"BTCUSDT": spec(), "BTCUSD_PERP": coin}
    legs: tuple[Any, ...] = (("BTCUSDT", "LONG"), ("BTCUSDT", "SHORT"), ("BTCUSD_PERP", "BOTH"), ("GONEUSDT", "BOTH"))
    positions = [
        ExchangePosition(symbol=symbol, position_side=side, quantity=Decimal(1), entry_price=Decimal(1))
        for symbol, side in legs
    ]
    tally, strange = judge_positions(positions, specs)
    assert tally == Tally(matched=2, quarantined=2) and tally.total == 4
    assert strange == ["BTCUSD_PERP", "GONEUSDT"]
