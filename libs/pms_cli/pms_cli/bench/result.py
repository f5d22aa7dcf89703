"""What a benchmark is given and what it tells.

`Context` is where and how long to measure, `Result` one line of `pms bench`. Used by every benchmark and the command.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """Where to measure: a Redis reached through `redis_url` (a unix socket where there is one), `rounds` times."""

    redis_url: str
    rounds: int = 5
    seconds: float = 1.5
    """Of one cell in one round."""


@dataclass(frozen=True, slots=True)
class Result:
    """One figure: percentiles of `n` samples, and its ratio to a reference of the same round, as median over rounds."""

    name: str
    unit: str
    p50: float
    p95: float
    p99: float
    n: int
    ratio_to: str = ""
    ratio: float | None = None


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value below which `share` (0…1) of the sorted samples lie."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


@dataclass(frozen=True, slots=True)
class Sample:
    """One cell of one round."""

    p50: float
    p95: float
    p99: float
    n: int


def combine(name: str, unit: str, rounds: Sequence[tuple[Sample, float]], ratio_to: str) -> Result:
    """Medians over rounds of a cell and of its ratio to the reference's p50 measured in the same round."""
    samples = [sample for sample, _ in rounds]
    return Result(
        name,
        unit,
        statistics.median(sample.p50 for sample in samples),
        statistics.median(sample.p95 for sample in samples),
        statistics.median(sample.p99 for sample in samples),
        sum(sample.n for sample in samples),
        ratio_to,
        statistics.median(sample.p50 / reference for sample, reference in rounds),
    )


def sample_of(values: Sequence[float], expected: int) -> Sample:
    """The percentiles of one cell. Raises where fewer than nine in ten of the expected samples came."""
    if len(values) < 0.9 * expected:
        raise RuntimeError(f"only {len(values)} of {expected} were seen")
    ascending = sorted(values)
    p50, p95, p99 = (percentile(ascending, share) for share in (0.5, 0.95, 0.99))
    return Sample(p50, p95, p99, len(ascending))
