"""The soak of the feed: recordings at many times their pace for a long time, every tick held against what was recorded.

Two feeds as processes read the same venue, one from books alone and one from both streams. Of each the books must equal
the recorded bookTicker at every tick, nothing may be lost, and memory may not grow. Every lap of a recording begins
with a break of the ids, every fifth with a lost connection. A line a minute, then a summary; exit code 1 where a tick
was wrong.
`python -m pms_cli.bench.feed_soak --minutes 60 --times 10 CAPTURE …`
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import sys
import tempfile
import time
import uuid
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from pms_cli.bench.feed_soak_venue import Recording, Venue
from pms_cli.bench.result import percentile
from pms_cli.embedded import free_port, start_valkey
from pms_common.bus import Bus
from pms_common.contracts.bus.common import Tick
from pms_common.names import Names

SOURCES = ("depth", "both")
STREAMS = 3
"""Of a symbol, with both feeds together."""
MINUTE_S = 60.0
SETTLED_MINUTES = 5
"""What is allocated once, at the start, is no growth."""


class Follower:
    """Reads one feed's ticks and compares them; counts are of the minute that runs."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.total: Counter[str] = Counter()
        self.work_us = array("q")
        self.delay_us = array("q")
        self._newest: dict[str, tuple[int, int]] = {}
        self.wrong: list[Tick] = []

    def on_ticks(self, ticks: list[Tick]) -> None:
        """Ticks from the stream."""
        now_us = time.time_ns() // 1000
        for tick in ticks:
            self.total["ticks"] += 1
            self.total[tick.state] += 1
            if self._newest.get(tick.symbol) == (tick.event_ms, tick.received_us):
                self.total["repeated"] += 1
                continue
            self._newest[tick.symbol] = tick.event_ms, tick.received_us
            self.work_us.append(tick.sent_us - tick.received_us)
            self.delay_us.append(now_us - tick.received_us)
            self._compare(tick)

    def _compare(self, tick: Tick) -> None:
        recorded = self._venue.players[tick.symbol].sent.at(tick.event_ms)
        if (tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity) in recorded:
            self.total["equal"] += 1
        elif None in recorded:
            self.total["untold"] += 1
        else:
            self.total["unequal"] += 1
            self.wrong = [*self.wrong[-9:], tick]


class Soaked:
    """One feed as a process, what it tells of itself and what its ticks are."""

    def __init__(self, source: str, redis_url: str, venue: Venue) -> None:
        self.source = source
        self.names = Names(f"soak{uuid.uuid4().hex[:8]}")
        self.follower = Follower(venue)
        self.minutes: list[dict[str, Any]] = []
        self._port = free_port()
        self._before: dict[str, float] = {}
        self._settings = {
            "PMS_NAMESPACE": self.names.namespace,
            "PMS_REDIS_URL": redis_url,
            "PMS_FEED_SYMBOLS": ",".join(venue.players),
            "PMS_L1_SOURCE": source,
            "PMS_FEED_METRICS_PORT": str(self._port),
            "PMS_BINANCE_REST_URL": venue.rest,
            "PMS_BINANCE_WS_URL": venue.ws,
            "PMS_LOG_LEVEL": "ERROR",
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; it is ready some time later."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pms_feed.main", env={**os.environ, **self._settings}
        )

    async def measure(self) -> dict[str, Any]:
        """The figures since the last time."""
        now = await self._scrape()
        since = {name: value - self._before.get(name, 0) for name, value in now.items()}
        self._before = now
        follower = self.follower
        figures: dict[str, Any] = {
            "source": self.source,
            "frames_per_s": round(since["frames"] / since["seconds"]),
            "cpu_percent": round(100 * since["cpu"] / since["seconds"], 1),
            "rss_mb": round(now["rss"] / 1e6, 1),
            **{name: round(since[name]) for name in ("gaps", "resyncs", "reconnects", "renewed", "garbage")},
            "work_us": _shares(follower.work_us),
            "delay_us": _shares(follower.delay_us),
            "so_far": dict(follower.total),
        }
        follower.work_us, follower.delay_us = array("q"), array("q")
        self.minutes.append(figures)
        return figures

    async def _scrape(self) -> dict[str, float]:
        url = f"http://127.0.0.1:{self._port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()

        def total(name: str) -> float:
            return sum(float(found) for found in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

        return {
            "seconds": time.monotonic(),
            "frames": total("pms_feed_frames_total"),
            "cpu": total("process_cpu_seconds_total"),
            "rss": total("process_resident_memory_bytes"),
            "gaps": total("pms_feed_gaps_total"),
            "resyncs": total("pms_feed_resyncs_total"),
            "reconnects": total("pms_feed_reconnects_total"),
            "renewed": total("pms_feed_renewed_streams_total"),
            "garbage": total('pms_feed_frames_total{kind="garbage"}'),
        }


def _shares(us: "array[int]") -> dict[str, int]:
    ascending = sorted(us)
    return {name: (ascending and int(percentile(ascending, share))) or 0 for name, share in _SHARES.items()}


_SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def growth_mb_per_hour(minutes: list[dict[str, Any]]) -> float | None:
    """The slope of the resident memory by least squares, without the first minutes; None for too few."""
    values: list[float] = [figures["rss_mb"] for figures in minutes[SETTLED_MINUTES:]]
    if len(values) < SETTLED_MINUTES:
        return None
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    rise = sum((at - middle) * (value - mean) for at, value in enumerate(values))
    return round(60 * rise / sum((at - middle) ** 2 for at in range(len(values))), 2)


async def soak(redis_url: str, captures: list[Path], minutes: float, times: float) -> bool:
    """Soak and print; whether every tick was as recorded."""
    venue = Venue([Recording(path) for path in captures])
    await venue.start()
    feeds = [Soaked(source, redis_url, venue) for source in SOURCES]
    readings: list[asyncio.Task[None]] = []
    for feed in feeds:
        await feed.start()
        bus = await Bus.connect(redis_url, "soak", feed.names)
        reader = bus.ticks_reader(feed.names.ticks, "soak", feed.follower.on_ticks)
        readings.append(asyncio.create_task(reader.run()))
    await asyncio.wait_for(venue.subscribed(len(venue.players) * STREAMS), 120)
    for feed in feeds:
        await feed.measure()
    playing = [asyncio.create_task(player.run(times)) for player in venue.players.values()]
    ends = time.monotonic() + minutes * MINUTE_S
    while (left_s := ends - time.monotonic()) > 0:
        await asyncio.sleep(min(MINUTE_S, left_s))
        for task in (*playing, *readings):
            if task.done():
                task.result()
        for feed in feeds:
            try:
                print(json.dumps(await feed.measure()), flush=True)
            except (aiohttp.ClientError, TimeoutError) as error:  # on a busy machine; the next minute tells of both
                print(json.dumps({"source": feed.source, "missed": repr(error)}), flush=True)
    for task in playing:
        task.cancel()
    for feed in feeds:
        print(json.dumps(_summary(feed, venue)), flush=True)
        assert feed.process is not None
        feed.process.terminate()
        await feed.process.wait()
    for task in readings:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return not any(feed.follower.total["unequal"] for feed in feeds)


def _summary(feed: Soaked, venue: Venue) -> dict[str, Any]:
    played = feed.minutes[1:]
    return {
        "summary": feed.source,
        "minutes": len(played),
        "laps": {symbol: player.laps for symbol, player in venue.players.items()},
        "hang_ups": venue.hang_ups,
        "frames_sent": sum(player.frames for player in venue.players.values()),
        **{name: sum(figures[name] for figures in played) for name in ("gaps", "resyncs", "reconnects", "garbage")},
        "cpu_percent": round(sum(figures["cpu_percent"] for figures in played) / len(played), 1),
        "rss_mb": [figures["rss_mb"] for figures in played],
        "growth_mb_per_hour": growth_mb_per_hour(played),
        "work_us": _median(played, "work_us"),
        "delay_us": _median(played, "delay_us"),
        **feed.follower.total,
        "wrong": [repr(tick) for tick in feed.follower.wrong],
    }


def _median(minutes: list[dict[str, Any]], name: str) -> dict[str, int]:
    """Of the minutes' percentiles."""
    return {share: sorted(figures[name][share] for figures in minutes)[len(minutes) // 2] for share in _SHARES}


def main() -> None:
    """Soak on an embedded server."""
    options = argparse.ArgumentParser(prog="feed_soak")
    options.add_argument("captures", nargs="+", type=Path, metavar="CAPTURE")
    options.add_argument("--minutes", type=float, default=60.0)
    options.add_argument("--times", type=float, default=10.0, help="the recorded pace times this")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pms-soak-") as state:
        server = start_valkey(Path(state))
        try:
            right = uvloop.run(soak(server.unix_url, asked.captures, asked.minutes, asked.times))
        finally:
            server.stop()
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
