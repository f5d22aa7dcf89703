"""Metrics of this process, read back."""

from math import inf

from pms_common import metrics

made = metrics.counter("test_read_back", "For this test", ["way"])
plain = metrics.gauge("test_level", "For this test")
took = metrics.histogram("test_took_seconds", "For this test", ["way"], buckets=(0.01, 0.1))


def test_counters_and_gauges_are_read_by_their_labels() -> None:
    made.labels("there").inc(2)
    made.labels("back").inc()
    plain.set(1.5)
    assert metrics.values("test_read_back_total") == {("there",): 2.0, ("back",): 1.0}
    assert metrics.value("test_level") == 1.5
    assert metrics.value("test_that_nobody_made") is None


def test_histograms_are_read_as_cumulative_counts() -> None:
    for seconds in (0.005, 0.05, 5.0):
        took.labels("there").observe(seconds)
    assert metrics.counts()["test_took_seconds there"] == {0.01: 1.0, 0.1: 2.0, inf: 3.0}


def test_what_is_looked_up_before_a_scrape_is_new_in_it() -> None:
    metrics.before_scrape(lambda: plain.set(2.5))
    plain.set(0)
    assert b"pms_test_level 2.5" in metrics.exposition()
