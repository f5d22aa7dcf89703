"""Which processes run, and why one is not ready: what each says of itself every few seconds."""

from collections.abc import Awaitable
from typing import cast

import msgspec
from redis.exceptions import RedisError

from pms_cli.health.books import examine_books
from pms_cli.health.finding import Finding
from pms_common.bus.dial import connected
from pms_common.contracts.bus.heartbeat import STALE_MS, Heartbeat
from pms_common.names import Names

SERVICES = ("feed", "orders", "risk", "algos", "gateway")
_beat = msgspec.json.Decoder(Heartbeat)


async def examine_processes(url: str, names: Names) -> list[Finding]:
    """One finding for each service that is missing or not ready, or one that all are there; then the books."""
    try:
        async with connected(url, names.namespace) as client:
            seconds, _ = await client.time()
            told = await cast("Awaitable[dict[bytes, bytes]]", client.hgetall(names.heartbeats))
    except (RedisError, OSError):
        return []  # said by examine_redis
    beats = [_beat.decode(value) for value in told.values()]
    alive = [beat for beat in beats if beat.told_ms > seconds * 1000 - STALE_MS]
    if not alive:
        advice = "start them (pms up), or is PMS_NAMESPACE the one they run with?"
        return [Finding("wrong", "services", f"none runs in the namespace {names.namespace}", advice)]
    findings = [finding for service in SERVICES for finding in _examine(service, alive)]
    well = [Finding("ok", "services", f"{len(alive)} processes, all ready or standing by")]
    return [*(findings or well), *examine_books(alive)]


def _examine(service: str, alive: list[Heartbeat]) -> list[Finding]:
    beats = [beat for beat in alive if beat.service == service]
    if not beats:
        return [Finding("wrong", service, "does not run", f"start it: pms run {service}")]
    if any(beat.ready for beat in beats):
        return []
    return [Finding("wrong", service, f"not ready: {beats[0].why}", "its log says more")]
