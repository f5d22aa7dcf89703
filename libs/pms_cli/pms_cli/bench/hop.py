"""The benchmark `hop`: one stream hop through `pms_common.bus` against the same commands in C.

Round trips between two processes, one way at 1, 100 and 5,000 messages a second, and messages a second through one
consumer. `python -m pms_cli.bench.hop [--pinned]` measures on an embedded server; pinned to one CPU, server included,
the cost of waking idle CPUs is gone.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from typing import Any

import redis.asyncio

from pms_cli.bench.alone import measure, options
from pms_cli.bench.reference import run_chain, run_round_trip
from pms_cli.bench.result import Context, Result, Sample, combine

RATES = (1, 100, 5000)
SATURATED = -2000


class PeerError(RuntimeError):
    """A process of the benchmark failed; the text is what it wrote."""


async def run(context: Context) -> list[Result]:
    """Measure all cells, each next to its reference, `rounds` times."""
    round_trips: list[tuple[Sample, float]] = []
    paced: dict[int, list[tuple[Sample, float]]] = {rate: [] for rate in RATES}
    throughput: list[tuple[Sample, float]] = []
    kind = ""
    for _ in range(context.rounds):
        floor = await run_round_trip(context.seconds, context.redis_url)
        kind = floor.kind
        round_trips.append((await _round_trip(context), floor.p50_us))
        for rate in RATES:
            chain = await run_chain(1, rate, context.seconds, context.redis_url)
            paced[rate].append((_sample(await _one_way(context, rate)), chain.p50_us))
        chain = await run_chain(1, SATURATED, context.seconds, context.redis_url)
        got = (await _one_way(context, 0))["rate"]
        throughput.append((Sample(got, got, got, 1), chain.rate))
    return [
        combine("hop.round_trip", "us", round_trips, f"{kind} round trip"),
        *(combine(f"hop.one_way_{rate}_per_s", "us", cells, f"{kind} hop") for rate, cells in paced.items()),
        combine("hop.throughput", "messages/s", throughput, f"{kind} hop saturated"),
    ]


async def _round_trip(context: Context) -> Sample:
    namespace = _namespace()
    echo = await _reading_peer(context, namespace, "echo")
    try:
        return _sample(await _output(await _peer(context, namespace, "rtt", context.seconds)))
    finally:
        echo.send_signal(signal.SIGKILL)
        await echo.communicate()
        await _clean(context, namespace)


async def _one_way(context: Context, rate: float) -> dict[str, Any]:
    namespace = _namespace()
    sink = await _reading_peer(context, namespace, "sink")
    source = await _peer(context, namespace, "source", rate, context.seconds)
    await _output(source)
    got = await _output(sink)
    await _clean(context, namespace)
    return got


def _namespace() -> str:
    return f"bench{uuid.uuid4().hex[:8]}"


async def _peer(context: Context, namespace: str, *words: object) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "pms_cli.bench.hop_peer", context.redis_url, namespace, *map(str, words))
    return await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


async def _reading_peer(context: Context, namespace: str, role: str) -> asyncio.subprocess.Process:
    peer = await _peer(context, namespace, role)
    assert peer.stdout is not None
    if await peer.stdout.readline() != b"ready\n":
        raise PeerError(f"{role} did not become ready")
    return peer


async def _output(peer: asyncio.subprocess.Process) -> dict[str, Any]:
    output, errors = await peer.communicate()
    if peer.returncode:
        raise PeerError(errors.decode(errors="replace"))
    return json.loads(output.splitlines()[-1]) if output else {}


def _sample(got: dict[str, Any]) -> Sample:
    return Sample(got["p50"], got["p95"], got["p99"], got["n"])


async def _clean(context: Context, namespace: str) -> None:
    client = redis.asyncio.Redis.from_url(context.redis_url)
    try:
        keys = [key async for key in client.scan_iter(match=f"{namespace}:*", count=1000)]
        if keys:
            await client.unlink(*keys)
    finally:
        await client.aclose()


def main() -> None:
    """Measure on an embedded server and print the results."""
    parser = options("hop", rounds=5, seconds=1.5)
    parser.add_argument("--pinned", action="store_true", help="everything on one CPU")
    asked = parser.parse_args()
    if asked.pinned:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # inherited by the server and the peers
    measure(run, asked)


if __name__ == "__main__":
    main()
