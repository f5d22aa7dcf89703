"""The benchmark `feed_throughput`: frames a second a feed process carries from socket to stream, and its delay.

A feed process, a venue that floods it and Redis, against the parser alone: the same frames decoded by the same decoder
in a loop, in one process, in the same round. Delay is measured at a pace of 20,000 frames a second, from a frame's
arrival to a reader of the stream.
`python -m pms_cli.bench.feed_throughput` measures on an embedded server.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import redis.asyncio

from pms_cli.bench.alone import measure, options
from pms_cli.bench.feed_throughput_peer import FIRST_ID, SYMBOLS, depth_frames, quote_frames
from pms_cli.bench.reference import run_round_trip
from pms_cli.bench.result import Context, Result, Sample, combine, percentile
from pms_common.bus import Bus
from pms_common.contracts.bus.common import Tick
from pms_common.names import Names
from pms_feed.app.wire import decode_frame

PACED = 20_000
WATCHED = [f"SYM{at}USDT" for at in range(SYMBOLS)]
KINDS = {"quotes": ("bookticker", "quote", quote_frames), "depth": ("depth", "depth", depth_frames)}


async def run(context: Context) -> list[Result]:
    """Measure all cells, each next to the parser alone, `rounds` times."""
    rates: dict[str, list[tuple[Sample, float]]] = {kind: [] for kind in KINDS}
    costs: dict[str, list[tuple[Sample, float]]] = {kind: [] for kind in KINDS}
    delays: list[tuple[Sample, float]] = []
    for _ in range(context.rounds):
        for kind in KINDS:
            parser_us = _parser_alone(kind, context.seconds / 3)
            async with _flooded(context, kind, 0) as flooded:
                rate, cpu_us = await flooded.measure(context.seconds)
            rates[kind].append((Sample(rate, rate, rate, 1), 1e6 / parser_us))
            costs[kind].append((Sample(cpu_us, cpu_us, cpu_us, 1), parser_us))
        async with _flooded(context, "quotes", PACED) as flooded:
            await flooded.measure(context.seconds / 2)
            delays.append((await flooded.delay(context.seconds), (await run_round_trip(1.0, context.redis_url)).p50_us))
    return [
        *(combine(f"feed_throughput.{kind}", "frames/s", rates[kind], "parser alone") for kind in KINDS),
        *(combine(f"feed_throughput.{kind}_cpu", "us/frame", costs[kind], "parser alone") for kind in KINDS),
        combine(f"feed_throughput.delay_at_{PACED}_per_s", "us", delays, "C round trip"),
    ]


def _parser_alone(kind: str, seconds: float) -> float:
    frames = [write(FIRST_ID + 1)[4:] for write in KINDS[kind][2](WATCHED[0])]
    """CPU microseconds a frame, as the feed's are: time on the clock would count the neighbours too."""
    decoded, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        for frame in frames:
            decode_frame(frame)
        decoded += len(frames)
    return (time.process_time() - began) / decoded * 1e6


class Flooded:
    """A running feed under a flood."""

    def __init__(self, url: str, names: Names, metrics_url: str, kind: str) -> None:
        self._url = url
        self._names = names
        self._metrics_url = metrics_url
        self._kind = KINDS[kind][1]

    async def _scrape(self) -> tuple[float, float, float]:
        """Time, frames and CPU seconds so far."""
        async with aiohttp.ClientSession() as session, session.get(self._metrics_url) as response:
            text = await response.text()
        frames = re.search(rf'^pms_feed_frames_total{{kind="{self._kind}"}} (\S+)', text, re.MULTILINE)
        cpu = re.search(r"^process_cpu_seconds_total (\S+)", text, re.MULTILINE)
        return time.monotonic(), float(frames[1]) if frames else 0.0, float(cpu[1]) if cpu else 0.0

    async def measure(self, seconds: float) -> tuple[float, float]:
        """Frames a second and CPU microseconds a frame, once the flood has begun."""
        async with asyncio.timeout(20):
            before = await self._scrape()
            while before[1] < 2_000:
                await asyncio.sleep(0.1)
                before = await self._scrape()
        await asyncio.sleep(seconds)
        after = await self._scrape()
        lasted, frames, cpu = (late - early for early, late in zip(before, after, strict=True))
        return frames / lasted, cpu / max(frames, 1) * 1e6

    async def delay(self, seconds: float) -> Sample:
        """From a frame's arrival to a reader of the ticks stream in this process."""
        us: list[float] = []

        def note(batch: list[Tick]) -> None:
            now_us = time.time_ns() / 1000
            us.extend(now_us - tick.received_us for tick in batch)

        bus = await Bus.connect(self._url, "bench", self._names)
        reading = asyncio.create_task(bus.ticks_reader(self._names.ticks, "bench", note).run())
        await asyncio.sleep(seconds)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await bus.close()
        us.sort()
        return Sample(percentile(us, 0.5), percentile(us, 0.95), percentile(us, 0.99), len(us))


@asynccontextmanager
async def _flooded(context: Context, kind: str, rate: int) -> AsyncIterator[Flooded]:
    names = Names(f"bench{uuid.uuid4().hex[:8]}")
    words = ("pms_cli.bench.feed_throughput_peer", kind, str(rate), str(context.seconds * 2 + 5))
    peer = await asyncio.create_subprocess_exec(sys.executable, "-m", *words, stdout=subprocess.PIPE)
    assert peer.stdout is not None
    rest_port, socket_port = (await peer.stdout.readline()).decode().split()
    metrics_port = _free_port()
    settings = {
        "PMS_NAMESPACE": names.namespace,
        "PMS_REDIS_URL": context.redis_url,
        "PMS_FEED_SYMBOLS": ",".join(WATCHED),
        "PMS_L1_SOURCE": KINDS[kind][0],
        "PMS_FEED_METRICS_PORT": str(metrics_port),
        "PMS_BINANCE_REST_URL": f"http://127.0.0.1:{rest_port}",
        "PMS_BINANCE_WS_URL": f"ws://127.0.0.1:{socket_port}",
        "PMS_LOG_LEVEL": "ERROR",
    }
    feed = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pms_feed.main", env={**os.environ, **settings}, stdout=subprocess.DEVNULL
    )
    client = redis.asyncio.Redis.from_url(context.redis_url)
    try:
        await _ready(f"http://127.0.0.1:{metrics_port}/ready")
        yield Flooded(context.redis_url, names, f"http://127.0.0.1:{metrics_port}/metrics", kind)
    finally:
        feed.terminate()
        peer.kill()
        await asyncio.gather(feed.wait(), peer.communicate())
        async for key in client.scan_iter(match=f"{names.namespace}:*", count=1000):
            await client.unlink(key)
        await client.aclose()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _ready(url: str) -> None:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass  # it has not begun to listen
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    measure(run, options("feed_throughput", rounds=3, seconds=2.0).parse_args())
