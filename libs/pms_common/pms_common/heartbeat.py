"""What this process says of itself every few seconds, for the operators' page: readiness, backlog, latencies, figures.

Owns the field of this process in the hash `names.heartbeats`. Reads this process's own metrics; never decides anything.
Used by `joining`.
"""

import asyncio
import os
import socket
from collections import deque

from redis.exceptions import RedisError

from pms_common import metrics
from pms_common.bus import Bus
from pms_common.clock import now_ms
from pms_common.contracts.base import encode
from pms_common.contracts.bus.heartbeat import Backlog, Heartbeat, Latency
from pms_common.logging import get_logger
from pms_common.quantiles import Counts, quantile_s
from pms_common.service import Lifecycle

log = get_logger(__name__)

PERIOD_S = 5.0
WINDOW = 12
"""Beats that the latencies look back: a minute."""
FIGURES = (
    *("feed_staleness_seconds", "feed_watched_symbols"),
    *("order_cases", "order_executions_missing", "user_stream_gaps_total", "foreign_orphans_total"),
    *("risk_accounts", "risk_accounts_unpriced", "risk_drifts", "risk_liquidations_running"),
    *("risk_pool_margin_needed", "risk_pool_margin_ratio", "risk_fundings_unsettled_total"),
    *("event_sockets", "journal_depth_rows", "journal_lag_seconds", "loop_lag_max_seconds"),
)
"""What an operator looks at first. A service that has no such metric leaves it out."""


class Heart:
    """The beats of one process."""

    def __init__(self, life: Lifecycle, bus: Bus) -> None:
        self._life, self._bus = life, bus
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._started_ms = now_ms()
        self._before: deque[dict[str, Counts]] = deque([{}], maxlen=WINDOW)

    async def run(self) -> None:
        """Beat until cancelled. A beat that Redis does not take is left out: the next one says all of it again."""
        field = f"{self._life.name}:{self._process}"
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self._bus.redis.hset(self._bus.names.heartbeats, field, encode(await self.beat()))
            except (RedisError, OSError) as error:
                log.warning("heartbeat_failed", error=str(error))

    async def beat(self) -> Heartbeat:
        """What is true now."""
        life, lease = self._life, self._life.parts.get("lease")
        whys = [f"{name}: {part.why}" for name, part in life.parts.items() if not part.ok]
        return Heartbeat(
            service=life.name,
            process=self._process,
            told_ms=now_ms(),
            started_ms=self._started_ms,
            ready=life.is_ready,
            leads=None if lease is None else lease.ok,
            why="; ".join(whys),
            resident_bytes=metrics.resident_bytes(),
            loop_lag_s=metrics.value("loop_lag_seconds") or 0.0,
            latencies=await self._latencies(),
            backlogs=_backlogs(self._bus.names.watch),
            figures={name: value for name in FIGURES if (value := metrics.value(name)) is not None},
        )

    async def _latencies(self) -> dict[str, Latency]:
        now: dict[str, Counts] = {}
        for histogram in metrics.histograms():  # all of them at once would hold up trading for milliseconds
            now |= metrics.counts(histogram)
            await asyncio.sleep(0)
        before = self._before[0]
        self._before.append(now)
        return {name: told for name, counts in now.items() if (told := _latency(counts, before.get(name)))}


def _latency(now: Counts, before: Counts | None) -> Latency | None:
    new = now if before is None else {bound: count - before.get(bound, 0.0) for bound, count in now.items()}
    count = int(max(new.values(), default=0))
    return Latency(count=count, p50_s=quantile_s(new, 0.5), p99_s=quantile_s(new, 0.99)) if count else None


def _backlogs(leases: str) -> tuple[Backlog, ...]:
    """What waits to be done. What lies in the stream of leases only has not lapsed yet."""
    lags, pending, oldest = (metrics.values(f"stream_{what}") for what in ("lag", "pending", "oldest_seconds"))
    return tuple(
        Backlog(
            stream=key[0], group=key[1], lag=int(lag), pending=int(pending.get(key, 0)), oldest_s=oldest.get(key, 0.0)
        )
        for key, lag in lags.items()
        if key[0] != leases
    )
