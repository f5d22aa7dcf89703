"""Where the scalper's layers lie, and how much each of them has."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_algos.build import D, spec
from tests.unit.pms_algos.scalper_steps import plan

from pms_algos.domain.scalper_geometry import armed, offsets, weights


def test_layers_lie_between_the_base_over_and_times_the_root_of_two() -> None:
    assert offsets(D("0.3"), 1) == [D("0.3")]
    row = offsets(D("0.3"), 3)
    assert [float(offset) for offset in row] == pytest.approx([0.3 / math.sqrt(2), 0.3, 0.3 * math.sqrt(2)], abs=1e-6)


@given(st.integers(-100, 100), st.integers(1, 10))
def test_weights_make_one_and_a_positive_skew_puts_more_on_the_far_layers(skew: int, layers: int) -> None:
    row = weights(skew, layers)
    assert float(sum(row)) == pytest.approx(1)
    assert row == sorted(row, reverse=skew < 0)
    if layers > 1 and skew == 100:
        assert float(row[-1] / row[0]) == pytest.approx(64)


def test_on_a_coarse_grid_each_layer_is_a_tick_behind_the_last() -> None:
    leg = armed(plan(child_count=4, long_offset_pct=D("0.01")), "LONG", D(100), spec())
    assert [slot.offset_ticks for slot in leg.slots] == [None, 1, 2, 3]
