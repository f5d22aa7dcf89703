"""Quantiles of a histogram that is counted in buckets.

Pure. Used by the heartbeat.
"""

from collections.abc import Mapping
from math import inf

Counts = Mapping[float, float]
"""Upper bound of a bucket in seconds → how many were at most that long (cumulative, as Prometheus counts)."""


def quantile_s(counts: Counts, share: float) -> float:
    """The quantile in seconds, linear within its bucket as PromQL's `histogram_quantile`; 0 where nothing was counted.

    What lies beyond the last finite bound is told as that bound.
    """
    wanted = share * max(counts.values(), default=0.0)
    below_s = below = 0.0
    for bound_s, count in sorted(counts.items()) if wanted else ():
        if bound_s == inf:
            break
        if count >= wanted:
            return below_s + (bound_s - below_s) * (wanted - below) / (count - below)
        below_s, below = bound_s, count
    return below_s
