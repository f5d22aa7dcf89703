"""Quantiles of bucket counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.quantiles import quantile_s

BOUNDS = (0.001, 0.01, 0.1, 1.0, math.inf)


def counted(values: list[float]) -> dict[float, float]:
    return {bound: float(sum(value <= bound for value in values)) for bound in BOUNDS}


def test_nothing_counted_is_zero() -> None:
    assert quantile_s({}, 0.5) == 0.0
    assert quantile_s(counted([]), 0.5) == 0.0


def test_it_is_linear_within_its_bucket() -> None:
    counts = counted([0.05] * 10)
    assert quantile_s(counts, 0.5) == pytest.approx(0.055)
    assert quantile_s(counts, 1.0) == pytest.approx(0.1)


def test_what_lies_beyond_the_last_bound_is_told_as_that_bound() -> None:
    assert quantile_s(counted([5.0] * 3), 0.5) == 1.0


@given(st.lists(st.floats(0.0001, 5.0), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_it_lies_in_the_bucket_of_the_true_quantile(values: list[float], share: float) -> None:
    true = sorted(values)[math.ceil(share * len(values)) - 1]
    upper = next(bound for bound in BOUNDS if true <= bound)
    lower = max((bound for bound in BOUNDS if bound < upper), default=0.0)
    assert lower <= quantile_s(counted(values), share) <= min(upper, 1.0)
