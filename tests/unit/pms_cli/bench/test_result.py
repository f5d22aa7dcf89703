"""Medians over rounds, and of ratios rather than ratios of medians."""

import pytest

from pms_cli.bench.result import Sample, combine, percentile


def test_percentile_of_few():
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([float(n) for n in range(100)], 0.5) == 50.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0


def test_ratio_is_the_median_of_each_round_with_its_own_reference():
    rounds = [(Sample(100, 150, 200, 10), 50.0), (Sample(300, 350, 400, 10), 100.0), (Sample(90, 95, 99, 10), 90.0)]
    result = combine("hop", "us", rounds, "c hop")
    assert (result.p50, result.p95, result.p99, result.n) == (100, 150, 200, 30)
    assert result.ratio == pytest.approx(2.0)
    assert result.ratio_to == "c hop"
