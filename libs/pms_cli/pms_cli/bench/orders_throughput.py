"""The benchmark `orders_throughput`: events of the exchange a second through the order service, on one core.

From a socket that floods to the updates stream in Redis, the journal in PostgreSQL written beside it. The reference is
the decoder alone on the same events in the same round.
`python -m pms_cli.bench.orders_throughput` measures on embedded servers.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import redis.asyncio

from pms_cli import migrate
from pms_cli.bench.alone import measure, options
from pms_cli.bench.orders_throughput_peer import LIFE
from pms_cli.bench.result import Context, Result, Sample, combine
from pms_cli.embedded import start_postgres

EVENTS_PER_S = 20_000
"""How many events are prepared for each second of a measurement: the goal."""
PEER = (sys.executable, "-m", "pms_cli.bench.orders_throughput_peer")


async def run(context: Context) -> list[Result]:
    """Measure `rounds` times on one database."""
    rates: list[tuple[Sample, float]] = []
    costs: list[tuple[Sample, float]] = []
    journalled: list[tuple[Sample, float]] = []
    orders = max(1, int(EVENTS_PER_S * context.seconds / len(LIFE)))
    async with _database() as database:
        for _ in range(context.rounds):
            alone = await _told("decoder", orders)
            took = await _through(context.redis_url, database, orders)
            alone_us = alone["cpu_s"] / alone["events"] * 1e6
            rate, cost = took["events"] / took["seconds"], took["cpu_s"] / took["events"] * 1e6
            kept = took["events"] / took["journalled_s"]
            rates.append((Sample(rate, rate, rate, took["events"]), 1e6 / alone_us))
            journalled.append((Sample(kept, kept, kept, took["events"]), 1e6 / alone_us))
            costs.append((Sample(cost, cost, cost, took["events"]), alone_us))
    return [
        combine("orders_throughput.events", "events/s", rates, "decoder alone"),
        combine("orders_throughput.journalled", "events/s", journalled, "decoder alone"),
        combine("orders_throughput.cpu", "us/event", costs, "decoder alone"),
    ]


async def _through(redis_url: str, database: str, orders: int) -> dict[str, Any]:
    namespace = f"bench{uuid.uuid4().hex[:8]}"
    peer = await asyncio.create_subprocess_exec(*PEER, "venue", str(orders), stdout=asyncio.subprocess.PIPE)
    assert peer.stdout is not None
    try:
        port = (await peer.stdout.readline()).decode().strip()
        took = await _told("service", redis_url, database, namespace, port, orders)
    finally:
        peer.kill()
        await peer.communicate()
        await _clean(redis_url, namespace)
    if took["updates"] < took["events"]:
        raise RuntimeError(f"of {took['events']} events only {took['updates']} were told")
    return took


async def _told(*words: object) -> dict[str, Any]:
    """The last line of a process of the benchmark."""
    process = await asyncio.create_subprocess_exec(*PEER, *map(str, words), stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{words[0]} has failed")
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told


@contextlib.asynccontextmanager
async def _database() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as state:
        server = await asyncio.to_thread(start_postgres, Path(state))
        try:
            await asyncio.to_thread(migrate.upgrade, server.url)
            yield server.url
        finally:
            await asyncio.to_thread(server.stop)


async def _clean(redis_url: str, namespace: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    async for key in client.scan_iter(match=f"{namespace}:*", count=1000):
        await client.unlink(key)
    await client.aclose()


if __name__ == "__main__":
    measure(run, options("orders_throughput", rounds=3, seconds=1.5).parse_args())
