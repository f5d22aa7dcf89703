"""A whole system to measure: started on embedded servers, with an account that may do anything and raised limits.

Owns that system, one thin connection for commands, and the reading of what the exchange saw and sent. The exchange's
log carries the time (ns, the machine's clock) at which a request had arrived or a frame was written, so a path is timed
from end to end without anything in between being changed. Used by the benchmarks of whole paths.
"""

import asyncio
import contextlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import hiredis
from redis.asyncio import Redis

from pms_cli.bench.reference import address_of
from pms_cli.commands.send import request
from pms_cli.system.place import READY_FILE, Place
from pms_cli.system.running import running_system
from pms_common.bus.dial import dial
from pms_common.bus.resp import Connection, pack
from pms_common.bus.url import parse
from pms_common.bus.write import xadd

SYMBOL = "BTCUSDT"
RATE_PER_S = 200
"""The pace at which paths are compared: the one of the reference figures."""
RAISED = "1000000000"
BALANCE = 10_000_000
MAX_OPEN_ORDERS = 10_000
ENV = {
    **{
        f"PMS_SIM_LIMIT_{name}": RAISED for name in ("WEIGHT_PER_MINUTE", "ORDERS_PER_MINUTE", "ORDERS_PER_TEN_SECONDS")
    },
    "PMS_SIM_MAX_OPEN_ORDERS": RAISED,
    "PMS_SIM_REQUEST_LOG": "200000",
    "PMS_SIM_HISTORY": "200000",
    "PMS_SIM_BALANCE": RAISED,
    "PMS_SIM_SYMBOLS": SYMBOL,
    "PMS_FEED_SYMBOLS": SYMBOL,
    "PMS_LOG_LEVEL": "warning",
}
Seen = dict[str, int]
"""Time (ns) by id."""


class Rig:
    """A running system with one account."""

    def __init__(
        self, place: Place, ready_file: Path, line: Connection, http: aiohttp.ClientSession, socket: str
    ) -> None:
        self.place = place
        self._ready_file = ready_file
        self.socket = socket
        self.account = ""
        self._line = line
        self._http = http

    async def open_account(self) -> str:
        """An account that no rule stops before 10,000 open orders."""
        created = await self.command("account", action="create", name=f"bench-{uuid.uuid4().hex[:6]}", balance=BALANCE)
        account: str = created["subAccountId"]
        wide = {"maxNotionalPerTrade": int(RAISED), "maxTotalExposure": int(RAISED), "maxOpenOrders": MAX_OPEN_ORDERS}
        await self.command("account", action="set_rules", subAccountId=account, **wide)
        return account

    async def command(self, command: str, **body: Any) -> dict[str, Any]:
        """A command that must succeed, off the measured path."""
        result = await request(self.place, command, {"requestId": uuid.uuid4().hex, **body}, 20)
        if result is None or not result["success"]:
            raise RuntimeError(f"{command} {body}: {result}")
        return result

    def order(self, account: str = "", **fields: Any) -> bytes:
        """An order's body without its request id, which `send` puts first."""
        body = {"subAccountId": account or self.account, "symbol": SYMBOL, "leverage": 10, **fields}
        return json.dumps(body).encode()[1:]

    def send(self, command: str, request_id: str, body: bytes) -> int:
        """XADD one command; when (ns)."""
        now = time.time_ns()
        self.send_together(command, [(request_id, body)])
        return now

    def send_together(self, command: str, requests: list[tuple[str, bytes]]) -> None:
        """XADD commands of one type in one write."""
        stream = self.place.names.cmd(command)
        datas = [b'{"requestId":"%s",%s' % (request_id.encode(), body) for request_id, body in requests]
        self._line.request(b"".join([xadd(stream, data, None) for data in datas]), len(datas), lambda _replies: None)

    async def answered(self) -> None:
        """Wait until Redis has all that was sent."""
        await self._line.call("PING")

    async def simulator(self, method: str, path: str, body: Any = None) -> Any:
        """A control request to the simulated exchange."""
        async with self._http.request(method, f"{self.place.simulator}/sim/{path}", json=body) as response:
            response.raise_for_status()
            return await response.json()

    async def arrivals(self, *names: str) -> list[tuple[int, dict[str, str]]]:
        """Requests of these names that the exchange received: (when, params)."""
        return [
            (item["timeNs"], item["params"])
            for item in await self.simulator("GET", "requests")
            if item["name"] in names
        ]

    async def frames(self, kind: str) -> Seen:
        """Frames of a kind (`trade`, `quote`) that the exchange wrote, by their id."""
        return {
            str(item["id"]): item["timeNs"] for item in await self.simulator("GET", "frames") if item["kind"] == kind
        }

    def pid(self, service: str) -> int:
        """The process of a service."""
        told: int = json.loads(self._ready_file.read_text(encoding="utf-8"))["services"][service]["pid"]
        return told

    async def ready(self, service: str) -> bool:
        """Whether a service does its work."""
        url = self.place.services[service].removesuffix("/metrics") + "/ready"
        try:
            async with self._http.get(url) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def price(self) -> float:
        """The best bid."""
        async with Redis.from_url(self.place.redis) as client:
            for _ in range(200):
                if text := await client.get(self.place.names.price(SYMBOL)):
                    return float(json.loads(text)["bid"])
                await asyncio.sleep(0.05)
        raise RuntimeError("no price")

    async def settled(self, done: Callable[[], bool], within_s: float = 20.0) -> None:
        """Wait until `done`, looking every 50 ms."""
        for _ in range(int(within_s / 0.05)):
            if done():
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"not done within {within_s:g} s")


@contextlib.asynccontextmanager
async def rig(env: dict[str, str] | None = None) -> AsyncIterator[Rig]:
    """A system of its own, ready for trading, gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="pms-bench-") as folder,
        running_system(Path(folder), {**ENV, **(env or {})}) as (
            place,
            _,
        ),
    ):
        async with Redis.from_url(place.redis, decode_responses=True) as client:
            socket = (await client.config_get("unixsocket"))["unixsocket"]
        line = await dial(parse(f"unix://{socket}" if socket else place.redis))
        async with aiohttp.ClientSession() as http:
            system = Rig(place, Path(folder) / READY_FILE, line, http, socket or address_of(place.redis))
            system.account = await system.open_account()
            try:
                yield system
            finally:
                line.abort("done")


def cpu_s() -> float:
    """CPU seconds that this process and all below it have used; 0 where the system does not tell (Linux does)."""
    used: dict[str, tuple[str, int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            used[stat.parent.name] = fields[1], int(fields[11]) + int(fields[12])

    def below(pid: str) -> int:
        return used[pid][1] + sum(below(child) for child, (parent, _) in used.items() if parent == pid)

    return below(str(os.getpid())) / os.sysconf("SC_CLK_TCK") if used else 0.0


async def paced(rate: float, seconds: float, act: Callable[[int], None]) -> None:
    """Call `act(0)`, `act(1)`, … at `rate` a second, on a schedule that does not drift."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for n in range(int(rate * seconds)):
        wait = start + n / rate - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        act(n)


class Listener(asyncio.Protocol):
    """A subscriber as thin as it can be: when (ns) each message came."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._reader = hiredis.Reader()
        self.messages: list[tuple[int, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe."""
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        transport.write(pack(("SUBSCRIBE", self._channel)))

    def data_received(self, data: bytes) -> None:
        """Note what came and when."""
        now = time.time_ns()
        self._reader.feed(data)
        while (message := self._reader.gets()) is not False:
            if message[0] == b"message":
                self.messages.append((now, message[2]))


async def listen(system: Rig, channel: str) -> Listener:
    """A subscriber of one channel on the system's Redis."""
    listener = Listener(channel)
    await asyncio.get_running_loop().create_unix_connection(lambda: listener, system.socket)
    return listener
