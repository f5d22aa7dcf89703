"""Rounding to tick and step."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pms_common.decimals import aggressive_price, ceil_to, floor_to, from_float, is_multiple, passive_price, plain

values = st.decimals(min_value="0.00000001", max_value="10000000", places=8)
steps = st.sampled_from([Decimal(s) for s in ("0.1", "0.001", "0.5", "1", "0.00001", "10", "0.05")])


@given(values, steps)
def test_floor_and_ceil_enclose_the_value_within_one_step(value: Decimal, step: Decimal) -> None:
    low, high = floor_to(value, step), ceil_to(value, step)
    assert low <= value <= high
    assert high - low in (0, step)
    assert is_multiple(low, step)
    assert is_multiple(high, step)


@given(values, steps)
def test_passive_never_improves_and_aggressive_never_worsens(value: Decimal, step: Decimal) -> None:
    assert passive_price("BUY", value, step) <= value <= aggressive_price("BUY", value, step)
    assert aggressive_price("SELL", value, step) <= value <= passive_price("SELL", value, step)


def test_a_zero_step_leaves_the_value() -> None:
    assert floor_to(Decimal("1.23"), Decimal(0)) == Decimal("1.23")
    assert is_multiple(Decimal("1.23"), Decimal(0))


@given(values)
def test_plain_text_reads_back_and_has_no_exponent(value: Decimal) -> None:
    text = plain(value)
    assert Decimal(text) == value
    assert "E" not in text.upper()


def test_plain_of_what_the_venue_refuses() -> None:
    assert plain(Decimal("7E-4")) == "0.0007"
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(Decimal("100.00")) == "100"


@given(st.decimals(min_value="0.0001", max_value="999999", places=4))
def test_a_price_survives_its_way_through_a_float(value: Decimal) -> None:
    assert from_float(float(value)) == value
