"""Division by largest remainder: the parts are the whole, and nobody is a unit away from its share."""

from hypothesis import given
from hypothesis import strategies as st

from pms_risk.domain.shares import divide

from .world import D

amounts = st.integers(1, 10**9).map(lambda n: D(n) / 1000)


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), amounts, min_size=1, max_size=12), amounts)
def test_parts_add_up_and_are_within_a_unit_of_the_quota(weights: dict[str, D], whole: D) -> None:
    unit = D("0.001")
    for signed in (whole, -whole):
        parts = divide(signed, weights, unit)
        assert sum(parts.values()) == signed
        total = sum(weights.values())
        for name, weight in weights.items():
            quota = signed * weight / total
            assert abs(parts.get(name, D(0)) - quota) < unit
            assert parts.get(name, D(0)) % unit == 0


def test_a_tie_goes_to_the_name_that_sorts_first() -> None:
    assert divide(D(1), {"b": D(1), "a": D(1)}, D(1)) == {"a": 1}


def test_what_is_no_multiple_of_the_unit_is_divided_in_its_own_last_digit() -> None:
    assert divide(D("0.0015"), {"a": D(2), "b": D(1)}, D("0.001")) == {"a": D("0.0010"), "b": D("0.0005")}


def test_nobody_shares_nothing() -> None:
    assert divide(D(1), {}, D(1)) == {}
