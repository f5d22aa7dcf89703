"""Prometheus metrics of every process: names begin with `pms_`, base units, never an order or user id as a label.

Owns the buckets and the metrics every process has: loop lag and memory. Used by all modules that measure, and by the
heartbeat, which reads some.
"""

import asyncio
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import REGISTRY

from pms_common.quantiles import Counts

LATENCY_BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Seconds, from one stream hop (about 0.1 ms here) to the longest wait a command has."""
LAG_PERIOD_S = 0.25


_made: dict[str, Counter | Gauge | Histogram] = {}


def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """A counter `pms_<name>_total`."""
    made = _made[f"{name}_total"] = Counter(f"pms_{name}", text, labels)
    return made


def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    """A gauge `pms_<name>`."""
    made = _made[name] = Gauge(f"pms_{name}", text, labels)
    return made


def histogram(
    name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_BUCKETS
) -> Histogram:
    """A histogram `pms_<name>`; the default buckets are for latencies in seconds."""
    made = _made[name] = Histogram(f"pms_{name}", text, labels, buckets=buckets)
    return made


def value(name: str) -> float | None:
    """A counter or gauge of this process without labels; None where it has none of that name."""
    return values(name).get(())


def values(name: str) -> dict[tuple[str, ...], float]:
    """A counter or gauge of this process, by the values of its labels."""
    found, full = _made.get(name), f"pms_{name}"
    samples = [sample for metric in found.collect() for sample in metric.samples] if found is not None else []
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == full}


def histograms() -> list[str]:
    """The names of this process's histograms."""
    return [name for name, made in _made.items() if isinstance(made, Histogram)]


def counts(histogram: str) -> dict[str, Counts]:
    """A histogram by its name with the values of its labels: upper bound → count up to it."""
    found: dict[str, dict[float, float]] = {}
    for sample in (sample for metric in _made[histogram].collect() for sample in metric.samples):
        if sample.name.endswith("_bucket"):
            labels = [word for label, word in sample.labels.items() if label != "le"]
            found.setdefault(" ".join([histogram, *labels]), {})[float(sample.labels["le"])] = sample.value
    return dict(found)


_looks: list[Callable[[], None]] = []


def before_scrape(look: Callable[[], None]) -> None:
    """Have `look` set gauges each time before they are read by Prometheus, instead of whenever they change."""
    _looks.append(look)


def exposition() -> bytes:
    """All metrics of this process in the text format of Prometheus."""
    for look in _looks:
        look()
    return generate_latest(REGISTRY)


def resident_bytes() -> int:
    """Resident memory of this process in bytes (its peak where the system does not tell the present one)."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


loop_lag = gauge("loop_lag_seconds", "How much later than asked the event loop woke a sleeper")
loop_lag_max = gauge("loop_lag_max_seconds", "The largest loop lag of the last 15 s")
resident = gauge("resident_memory_bytes", "Resident memory of the process")
resident.set_function(resident_bytes)


async def watch_loop_lag() -> None:
    """Measure the event loop's lag until cancelled."""
    loop = asyncio.get_running_loop()
    window = [0.0] * round(15 / LAG_PERIOD_S)
    turn = 0
    while True:
        before = loop.time()
        await asyncio.sleep(LAG_PERIOD_S)
        lag = max(0.0, loop.time() - before - LAG_PERIOD_S)
        window[turn % len(window)] = lag
        turn += 1
        loop_lag.set(lag)
        loop_lag_max.set(max(window))
