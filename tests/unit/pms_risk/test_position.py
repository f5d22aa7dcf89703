"""Position arithmetic: examples a person can check, and that a life adds up exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_risk.domain.execution import Moved, execute
from pms_risk.domain.position import Position, closing_part

D = Decimal


def opened() -> Position:
    return Position("p", "BTCUSDT", "BOTH", D(10), 1)


def run(*moves: tuple[str, str], leverage: int = 10) -> list[Moved]:
    position, results = None, []
    for quantity, price in moves:
        moved = execute(position, "a", D(quantity), D(price), D(leverage), D(0), opened)
        position = moved.position
        results.append(moved)
    return results


def test_average_entry_is_weighted() -> None:
    last = run(("1", "100"), ("3", "200"))[-1].position
    assert last is not None
    assert (last.quantity, last.entry_price, last.notional, last.margin) == (4, 175, 700, 70)


def test_partial_close_keeps_the_entry() -> None:
    moved = run(("2", "100"), ("-0.5", "110"))[-1]
    assert moved.profit == 5
    assert moved.position is not None
    assert moved.position.entry_price == 100
    assert [step.kind for step in moved.steps] == ["reduced"]


def test_short_earns_when_the_price_falls() -> None:
    moved = run(("-2", "100"), ("2", "90"))[-1]
    assert (moved.profit, moved.position) == (20, None)
    assert moved.steps[0].side == "SHORT"


def test_a_smaller_opposite_order_reduces_and_a_larger_one_flips() -> None:
    assert [step.kind for step in run(("2", "100"), ("-1", "100"))[-1].steps] == ["reduced"]
    moved = run(("2", "100"), ("-5", "110"))[-1]
    assert [(step.kind, step.quantity, step.side) for step in moved.steps] == [
        ("closed", 2, "LONG"),
        ("opened", 3, "SHORT"),
    ]
    assert moved.profit == 20
    assert moved.position is not None
    assert (moved.position.quantity, moved.position.entry_price) == (-3, 110)


def test_the_newest_leverage_holds_for_the_whole_position() -> None:
    position = run(("1", "100"))[-1].position
    moved = execute(position, "a", D(1), D(100), D(5), D(0), opened)
    assert moved.position is not None
    assert moved.position.margin == 40


def test_commission_lowers_what_a_close_earned() -> None:
    position = run(("1", "100"))[-1].position
    assert position is not None
    moved = execute(position, "a", D(-1), D(110), D(10), D("0.5"), opened)
    assert moved.profit == 10
    assert moved.steps[0].profit == D("9.5")
    assert position.realized == D("9.5")


@pytest.mark.parametrize(
    ("held", "quantity", "closes"), [(5, -3, -3), (5, -9, -5), (-5, 9, 5), (5, 3, 0), (0, 3, 0), (-5, -1, 0)]
)
def test_closing_part(held: int, quantity: int, closes: int) -> None:
    assert closing_part(D(held), D(quantity)) == closes


quantities = st.integers(-5_000, 5_000).filter(bool).map(lambda n: D(n) / 1000)
prices = st.integers(1, 10_000_000).map(lambda n: D(n) / 100)


@given(st.lists(st.tuples(quantities, prices), min_size=1, max_size=60), prices)
def test_what_a_position_earns_is_exactly_what_was_paid_and_received(
    moves: list[tuple[Decimal, Decimal]], last: Decimal
) -> None:
    position, profit = None, D(0)
    for quantity, price in moves:
        moved = execute(position, "a", quantity, price, D(10), D(0), opened)
        position, profit = moved.position, profit + moved.profit
    held = sum((quantity for quantity, _ in moves), D(0))
    assert (position.quantity if position is not None else 0) == held
    if position is not None:
        profit += execute(position, "a", -held, last, D(10), D(0), opened).profit
    cash = sum((-quantity * price for quantity, price in moves), D(0)) + held * last
    assert profit == cash
