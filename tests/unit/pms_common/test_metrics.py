"""Metrics of this process, read back."""

from collections.abc import Iterator
from math import inf

import pytest
from prometheus_client import REGISTRY

from pms_common import metrics


@pytest.fixture(autouse=True)
def _no_metric_stays() -> Iterator[None]:
    """What a test makes is no metric of the product."""
    before = set(metrics._made)
    yield
    for name in set(metrics._made) - before:
        REGISTRY.unregister(metrics._made.pop(name))


def test_counters_and_gauges_are_read_by_their_labels() -> None:
    made = metrics.counter("test_read_back", "For this test", ["way"])
    made.labels("there").inc(2)
    made.labels("back").inc()
    metrics.gauge("test_level", "For this test").set(1.5)
    assert metrics.values("test_read_back_total") == {("there",): 2.0, ("back",): 1.0}
    assert metrics.value("test_level") == 1.5
    assert metrics.value("test_that_nobody_made") is None


def test_histograms_are_read_as_cumulative_counts() -> None:
    took = metrics.histogram("test_took_seconds", "For this test", ["way"], buckets=(0.01, 0.1))
    for seconds in (0.005, 0.05, 5.0):
        took.labels("there").observe(seconds)
    assert metrics.counts("test_took_seconds")["test_took_seconds there"] == {0.01: 1.0, 0.1: 2.0, inf: 3.0}


def test_what_is_looked_up_before_a_scrape_is_new_in_it() -> None:
    plain = metrics.gauge("test_level", "For this test")
    metrics.before_scrape(lambda: plain.set(2.5))
    plain.set(0)
    assert b"pms_test_level 2.5" in metrics.exposition()
