"""What every process says of itself every few seconds: a field of the hash `names.heartbeats`.

Owns the form. Written by `pms_common.heartbeat`, read by the gateway. Never read to decide about trading.
"""

from __future__ import annotations

import msgspec

from pms_common.contracts.base import Wire

STALE_MS = 15_000
"""A process that was silent for so long is not there any more: three of its beats."""


class Latency(Wire, frozen=True, kw_only=True):
    """How long one thing took in the last minute; the quantiles are as fine as the buckets of its histogram."""

    count: int
    p50_s: float = msgspec.field(name="p50S")
    p99_s: float = msgspec.field(name="p99S")


class Backlog(Wire, frozen=True, kw_only=True):
    """What a group has still to do in one stream."""

    stream: str
    group: str
    lag: int
    pending: int
    oldest_s: float = msgspec.field(name="oldestS")


class Heartbeat(Wire, frozen=True, kw_only=True):
    """One process. `leads` is null for a service without a lease; `why` names what is not ready."""

    service: str
    process: str
    told_ms: int = msgspec.field(name="toldAt")
    started_ms: int = msgspec.field(name="startedAt")
    ready: bool
    leads: bool | None
    why: str
    resident_bytes: int
    loop_lag_s: float = msgspec.field(name="loopLagS")
    latencies: dict[str, Latency]
    backlogs: tuple[Backlog, ...]
    figures: dict[str, float]
    """Metrics that an operator looks at first, by name without `pms_`: `heartbeat.FIGURES`."""
