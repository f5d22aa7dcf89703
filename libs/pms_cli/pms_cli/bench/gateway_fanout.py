"""The benchmark `gateway_fanout`: 1,000 WebSockets and 5,000 events a second through one gateway process.

Each socket follows an account of its own. `cpu` is what an event costs the gateway, from risk's updates stream to the
log, to pub/sub and to its socket; `events` is how many of them a core does at that; `socket` is how long one takes
under this load. At a calm pace, `after_log` is how much later than a reader of the log a socket hears of an event: the
door's own hop. `python -m pms_cli.bench.gateway_fanout` measures on embedded servers.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import redis.asyncio
from picows import WSFrame, WSListener, WSTransport, ws_connect

from pms_cli import migrate
from pms_cli.bench.alone import measure, options
from pms_cli.bench.reference import run_chain
from pms_cli.bench.result import Context, Result, Sample, combine, sample_of
from pms_cli.bench.rig import paced
from pms_cli.embedded import Child, free_port, start_postgres
from pms_cli.embedded.process import spawn
from pms_common.bus.dial import dial
from pms_common.bus.resp import Connection
from pms_common.bus.url import parse
from pms_common.bus.write import xadd
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import PublicEvent
from pms_common.names import Names

SOCKETS = 1_000
EVENTS_PER_S = 5_000
TICK_S = 0.01
CALM_PER_S = 200
HOPS = 2
"""risk → gateway → whoever listens."""
WITHIN_S = 60.0
POSITION = {"id": "p", "symbol": "BTCUSDT", "side": "LONG", "entryPrice": 64000.1, "quantity": 0.1, "leverage": 10}
ACCOUNT = {"balance": 10_000.5, "equity": 10_010.25, "marginUsed": 640, "positions": [POSITION] * 3}


class _Event(msgspec.Struct, rename="camel"):
    sent_ns: int
    event_id: str


_event = msgspec.json.Decoder(_Event)


class Heard(WSListener):
    """What all sockets have heard: how long (µs) each event was on its way, and when (ns) it came."""

    def __init__(self) -> None:
        self.took_us: list[float] = []
        self.at_ns: dict[str, int] = {}

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """An event."""
        now = time.time_ns()
        event = _event.decode(frame.get_payload_as_bytes())
        self.took_us.append((now - event.sent_ns) / 1000)
        self.at_ns[event.event_id] = now

    async def count(self, wanted: int) -> None:
        """Wait for so many."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.took_us) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.005)  # counting costs nothing


class Door:
    """A gateway, risk's place to write to it, and its sockets."""

    def __init__(self, names: Names, child: Child, url: str, line: Connection, client: redis.asyncio.Redis) -> None:
        self.names, self.url, self.client = names, url, client
        self._child, self._line = child, line
        self._n = 0

    def tell(self, count: int) -> None:
        """Write events of so many accounts, one after the other."""
        written = []
        for _ in range(count):
            self._n += 1
            account = f"account-{self._n % SOCKETS}"
            payload = {"type": "order_filled", "subAccountId": account, "sentNs": time.time_ns(), "account": ACCOUNT}
            event = PublicEvent(
                epoch=1,
                n=self._n,
                key=f"k{self._n}",
                account_id=account,
                type="order_filled",
                payload=msgspec.Raw(msgspec.json.encode(payload)),
            )
            written.append(xadd(self.names.updates("risk"), encode(event), None))
        self._line.request(b"".join(written), count, lambda _replies: None)

    def cpu_s(self) -> float:
        """CPU seconds of the gateway so far."""
        fields = Path(f"/proc/{self._child.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(context: Context) -> list[Result]:
    """Interleave the chain and the gateway, `rounds` times."""
    costs: list[tuple[Sample, float]] = []
    rates: list[tuple[Sample, float]] = []
    loaded: list[tuple[Sample, float]] = []
    calm: list[tuple[Sample, float]] = []
    kind = ""
    async with _door(context.redis_url) as door, _sockets(door) as heard:
        for _ in range(context.rounds):
            chain = await run_chain(HOPS, EVENTS_PER_S, context.seconds, context.redis_url)
            kind = chain.kind
            sample, cpu_us = await _load(door, heard, context.seconds)
            loaded.append((sample, chain.p50_us))
            costs.append((Sample(cpu_us, cpu_us, cpu_us, sample.n), 1e6 / EVENTS_PER_S))
            rates.append((Sample(1e6 / cpu_us, 1e6 / cpu_us, 1e6 / cpu_us, sample.n), EVENTS_PER_S))
            hop = await run_chain(1, CALM_PER_S, context.seconds, context.redis_url)
            calm.append((await _after_log(door, heard, context.seconds), hop.p50_us))
    return [
        combine("gateway_fanout.cpu", "us/event", costs, f"a core at {EVENTS_PER_S}/s"),
        combine("gateway_fanout.events", "events/s", rates, "the goal"),
        combine("gateway_fanout.socket", "us", loaded, f"{kind} chain of {HOPS} hops"),
        combine("gateway_fanout.after_log", "us", calm, f"{kind} hop"),
    ]


async def _load(door: Door, heard: Heard, seconds: float) -> tuple[Sample, float]:
    """5,000 events a second, each to one of 1,000 sockets; and the gateway's CPU (µs) for each."""
    heard.took_us.clear()
    heard.at_ns.clear()
    cpu_s, together = door.cpu_s(), int(EVENTS_PER_S * TICK_S)
    await paced(1 / TICK_S, seconds, lambda _: door.tell(together))
    expected = int(seconds / TICK_S) * together
    await heard.count(expected)
    return sample_of(heard.took_us, expected), (door.cpu_s() - cpu_s) / expected * 1e6


async def _after_log(door: Door, heard: Heard, seconds: float) -> Sample:
    """How much later than a reader of the log a socket hears of an event."""
    heard.took_us.clear()
    heard.at_ns.clear()
    read_at: dict[str, int] = {}
    reading = asyncio.create_task(_read_log(door, read_at))
    await asyncio.sleep(0.1)
    await paced(CALM_PER_S, seconds, lambda _: door.tell(1))
    await heard.count(int(CALM_PER_S * seconds))
    await asyncio.sleep(0.1)
    reading.cancel()
    both = read_at.keys() & heard.at_ns.keys()
    return sample_of([(heard.at_ns[event] - read_at[event]) / 1000 for event in both], int(CALM_PER_S * seconds))


async def _read_log(door: Door, read_at: dict[str, int]) -> None:
    last: Any = "$"
    while True:
        found: Any = await door.client.xread({door.names.events: last}, block=1000)
        for _, entries in found or []:
            now = time.time_ns()
            read_at.update((entry_id.decode(), now) for entry_id, _ in entries)
            last = entries[-1][0]


@contextlib.asynccontextmanager
async def _sockets(door: Door) -> AsyncIterator[Heard]:
    heard = Heard()
    open_: list[WSTransport] = []
    for n in range(SOCKETS):
        transport, _ = await ws_connect(lambda: heard, f"{door.url}/v1/events?subAccountId=account-{n}")
        open_.append(transport)
    door.tell(SOCKETS)
    await heard.count(SOCKETS)  # the gateway leads and all is warm
    yield heard
    for transport in open_:
        transport.disconnect()


@contextlib.asynccontextmanager
async def _door(redis_url: str) -> AsyncIterator[Door]:
    names, port = Names(f"bench{uuid.uuid4().hex[:8]}"), free_port()
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        database = await asyncio.to_thread(start_postgres, Path(folder) / "postgres")
        await asyncio.to_thread(migrate.upgrade, database.url)
        settings = {
            "PMS_REDIS_URL": redis_url,
            "PMS_DATABASE_URL": database.url,
            "PMS_NAMESPACE": names.namespace,
            "PMS_GATEWAY_PORT": str(port),
        }
        command = (sys.executable, "-m", "pms_cli", "run", "gateway")
        child = spawn("gateway", command, Path(folder) / "log", env={**os.environ, **settings})
        line, client = await dial(parse(redis_url)), redis.asyncio.Redis.from_url(redis_url)
        try:
            await _healthy(f"http://127.0.0.1:{port}/health")
            yield Door(names, child, f"ws://127.0.0.1:{port}", line, client)
        finally:
            child.stop()
            line.abort("done")
            async for key in client.scan_iter(match=f"{names.namespace}:*", count=1000):
                await client.unlink(key)
            await client.aclose()
            database.stop()


async def _healthy(url: str) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(url):
                    return
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    measure(run, options("gateway_fanout", rounds=3, seconds=3.0).parse_args())
