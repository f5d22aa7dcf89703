"""Filters, self-trade index, gates, tracker and resolution."""

import time
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, place, sent, spec

from pms_common.contracts.errors import CommandError
from pms_orders.domain.filters import check_order, check_terms
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import Flight, Operation, Terms, exchange_number, may_rest_at
from pms_orders.domain.resolution import QUERY_LAG_MS, RECV_WINDOW_MS, Cases, conclusion, open_case, settled
from pms_orders.domain.resting import RestingPrices
from pms_orders.domain.table import Kind
from pms_orders.domain.tracker import TOMBSTONE_MS, OrderTracker


@pytest.mark.parametrize(
    ("price", "quantity", "code"),
    [
        ("100.05", "1", "FILTER_PRICE"),
        ("0.5", "100", "FILTER_PRICE"),
        ("100000.1", "1", "FILTER_PRICE"),
        ("100", "0.0005", "EXCHANGE_QTY_TOO_SMALL"),
        ("100", "1.0005", "FILTER_QUANTITY"),
        ("100", "1001", "EXCHANGE_QTY_TOO_LARGE"),
        ("100", "0.049", "EXCHANGE_MIN_NOTIONAL"),
        (None, "121", "EXCHANGE_QTY_TOO_LARGE"),
        (None, "0", "EXCHANGE_QTY_TOO_SMALL"),
    ],
)
def test_what_the_venue_would_refuse_is_refused_with_its_code(price: str | None, quantity: str, code: str) -> None:
    with pytest.raises(CommandError) as refusal:
        check_terms(spec(), place(), None if price is None else Decimal(price), Decimal(quantity))
    assert refusal.value.code.name == code


def test_a_reduce_only_order_is_exempt_from_the_minimum_notional() -> None:
    check_order(spec(), place(quantity="0.001", reduce_only=True, reduce_only_on_venue=True), False, NOW)
    with pytest.raises(CommandError, match="EXCHANGE_MIN_NOTIONAL"):
        check_order(spec(), place(quantity="0.001", reduce_only=True), False, NOW)
    check_order(spec(), place(quantity="0.001", reduce_only=True, position_side="LONG"), True, NOW)


def test_symbols_that_do_not_trade_or_are_not_in_usdt_are_refused() -> None:
    for given_spec, code in (
        (None, "SYMBOL_UNKNOWN"),
        (spec(status="SETTLING"), "SYMBOL_NOT_TRADING"),
        (spec(margin_asset="USDC"), "SYMBOL_NOT_TRADING"),
    ):
        with pytest.raises(CommandError) as refusal:
            check_order(given_spec, place(), False, NOW)
        assert refusal.value.code.name == code


PRICES = st.integers(1, 20).map(Decimal)


@given(st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), PRICES), max_size=30), PRICES)
def test_would_meet_equals_a_plain_search(resting: list[tuple[str, Decimal]], price: Decimal) -> None:
    index = RestingPrices()
    for side, at in resting:
        index.add("X", side, at)  # type: ignore[arg-type]
    assert index.would_meet("X", "BUY", price) == any(side == "SELL" and at <= price for side, at in resting)
    assert index.would_meet("X", "SELL", price) == any(side == "BUY" and at >= price for side, at in resting)
    for (side, at), times in Counter(resting).items():
        for _ in range(times):
            index.remove("X", side, at)  # type: ignore[arg-type]
    assert not index.would_meet("X", "BUY", Decimal(100))


def test_an_order_counts_at_its_price_and_at_its_targets() -> None:
    order = sent()
    order.flight = Flight(Operation.AMEND, NOW, Terms(Decimal(101), Decimal(1)))
    order.wanted_amend = Terms(Decimal(102), Decimal(1))
    assert set(may_rest_at(order)) == {Decimal(100), Decimal(101), Decimal(102)}
    order.status = "cancelled"
    assert may_rest_at(order) == ()


def test_the_strictest_trading_state_counts() -> None:
    gates = Gates()
    gates.set("", "", "reducing")
    gates.set("a", "BTCUSDT", "halted")
    with pytest.raises(CommandError, match="TRADING_HALTED"):
        gates.check(place(reduce_only=True))
    gates.check(place(symbol="ETHUSDT", reduce_only=True))
    with pytest.raises(CommandError, match="TRADING_REDUCING"):
        gates.check(place(symbol="ETHUSDT"))
    gates.check(place(origin="LIQUIDATION"))
    gates.set("", "", "active")
    gates.check(place(symbol="ETHUSDT"))


def test_a_barrier_stops_what_was_approved_before_it() -> None:
    gates = Gates()
    gates.raise_barrier("a", "BTCUSDT", children=False, at_ms=NOW)
    assert gates.behind_barrier(place())
    assert not gates.behind_barrier(place(approved_ms=NOW + 1))
    assert not gates.behind_barrier(place(parent_id="chase_1"))
    assert not gates.behind_barrier(place(symbol="ETHUSDT"))
    assert not gates.behind_barrier(place(account_id="b"))
    assert gates.behind_barrier(place(asked_ms=NOW, approved_ms=NOW + 5)), "what counts is when it was asked for"
    assert not gates.behind_barrier(place(reduce_only=True, order_type="MARKET", price=None))


def test_a_barrier_that_comes_late_does_not_lower_a_newer_one() -> None:
    gates = Gates()
    gates.raise_barrier("a", "", children=True, at_ms=NOW + 10)
    gates.raise_barrier("a", "", children=True, at_ms=NOW)
    assert gates.behind_barrier(place(asked_ms=NOW + 5))


def test_r26_ended_orders_and_tombstones_are_bounded() -> None:
    tracker = OrderTracker(max_ended=10)
    for n in range(100):
        order = sent(str(n))
        order.exchange_order_id = n
        tracker.add(order)
        order.status = "filled"
        tracker.retire(order)
        tracker.bury(f"t{n}", NOW)
    assert len(tracker) == 0 and tracker.find("99") is not None and tracker.find("89") is None
    assert tracker.find_by_exchange_id(5) is None and tracker.find_by_exchange_id(95) is not None
    assert tracker.of_account("a") == []
    for n in range(20_000):
        tracker.bury(f"u{n}", NOW)
    assert not tracker.buried("t0", NOW) and tracker.buried("u19999", NOW)


def test_an_exchange_order_id_is_found_among_many_and_only_where_one_symbol_has_it() -> None:
    tracker = OrderTracker(max_ended=1)
    btc, eth, other = sent("btc"), sent("eth", symbol="ETHUSDT"), sent("other")
    btc.exchange_order_id = eth.exchange_order_id = 7
    other.exchange_order_id = 8
    for order in (btc, eth, other):
        tracker.add(order)
    assert tracker.find_by_exchange_id(7) is None and tracker.find_by_exchange_id(8) is other
    assert tracker.find_reported("ETHUSDT", 7, "x") is eth and tracker.find_reported("BTCUSDT", 7, "x") is btc
    for order in (btc, other):
        order.status = "filled"
        tracker.retire(order)
    assert tracker.find_by_exchange_id(7) is eth
    for number in range(10, 20_010):
        tracker._by_number[number] = (other,)
    begun = time.process_time()
    for _ in range(1_000):
        tracker.find_by_exchange_id(7)
    assert time.process_time() - begun < 0.1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("8389765519993908929", 8_389_765_519_993_908_929),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), None),
        ("1" * 20, None),
        ("-7", None),
        ("PMS_a_LMT_1", None),
    ],
)
def test_an_exchange_order_id_has_up_to_19_digits(text: str, number: int | None) -> None:
    assert exchange_number(text) == number


def test_a_tombstone_is_forgotten_after_its_time() -> None:
    tracker = OrderTracker()
    tracker.bury("x", NOW)
    assert not tracker.buried("x", NOW + TOMBSTONE_MS + 1)
    tracker.bury("y", NOW)
    assert tracker.buried("y", NOW + 1) and not tracker.buried("y", NOW + 1)


def test_r03_an_absence_proves_nothing_before_the_lag_of_queries_has_passed() -> None:
    order = sent()
    order.status = "unknown"
    case = open_case(order, NOW)
    assert conclusion(order, False, NOW + RECV_WINDOW_MS + QUERY_LAG_MS - 1, case) is None
    assert conclusion(order, False, NOW + RECV_WINDOW_MS + QUERY_LAG_MS, case) is Kind.ABSENT


def test_r03_an_order_that_the_exchange_has_named_is_never_concluded_to_be_absent() -> None:
    order = sent()
    order.exchange_order_id = 7
    case = open_case(order, NOW)
    assert conclusion(order, False, case.conclusive_ms, case) is None


def test_r04_a_cancel_is_given_up_only_on_proof() -> None:
    order = sent()
    order.status = "cancelling"
    case = open_case(order, NOW)
    late = case.conclusive_ms
    assert not settled(order)
    assert conclusion(order, True, late - 1, case) is None
    assert conclusion(order, True, late, case) is Kind.CANCEL_REFUSED
    assert conclusion(order, False, late, case) is None


def test_an_amendment_is_refused_only_on_proof_and_an_answered_one_never() -> None:
    order = sent()
    order.status, order.flight = "amending", Flight(Operation.AMEND, NOW, Terms(Decimal(101), Decimal(10)), lost=True)
    case = open_case(order, NOW)
    assert conclusion(order, True, case.conclusive_ms - 1, case) is None
    assert conclusion(order, True, case.conclusive_ms, case) is Kind.AMEND_REFUSED
    order.flight = None
    assert conclusion(order, True, case.conclusive_ms, case) is Kind.AMENDED


def test_a_case_is_asked_about_at_its_conclusive_moment() -> None:
    cases = Cases()
    order = sent()
    cases.open(order, NOW)
    (case,) = cases.due(NOW + 300)
    asked = []
    now = NOW + 300
    while now < NOW + 4_000:
        for due in cases.due(now):
            asked.append(now)
            due.again(now)
        now += 10
    assert any(case.conclusive_ms <= at < case.conclusive_ms + 20 for at in asked)
    assert len(asked) < 10
