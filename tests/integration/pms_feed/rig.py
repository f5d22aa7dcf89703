"""What the tests hold in their hands: the feed and the simulator as processes, and what the feed tells."""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import redis.asyncio
from tests.services import ServiceProcess

from pms_cli.embedded import free_port
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick, WatchLease, ticks
from pms_common.names import Names

WAIT_S = 90.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` finds, once it finds something."""
    while True:
        if found := await look():
            return found
        await asyncio.sleep(0.02)


class Rig:
    """A simulator with a market of its own, and a feed that is started by `start`."""

    def __init__(
        self,
        names: Names,
        redis_url: str,
        simulator: asyncio.subprocess.Process,
        address: dict[str, str],
        http: aiohttp.ClientSession,
        log: Path,
    ) -> None:
        self._log = log
        self._simulator = simulator
        self.names = names
        self.redis = redis.asyncio.Redis.from_url(redis_url)
        self._redis_url = redis_url
        self._address = address
        self._http = http
        self._probe = f"http://127.0.0.1:{free_port()}"
        self._last = b"0"
        self.ticks: list[Tick] = []
        self.entries = 0
        self.feed: ServiceProcess | None = None

    async def start(self, symbols: str = "BTCUSDT", source: str = "both", **more: str) -> None:
        """Start the feed and wait until it is ready."""
        settings = self._settings(symbols, source) | more
        settings["PMS_FEED_METRICS_PORT"] = self._probe.rpartition(":")[2]
        self.feed = ServiceProcess("feed", settings, self._log)
        self.feed.start()
        async with asyncio.timeout(WAIT_S):
            await until(self._answers_ready)

    async def join(self, symbols: str) -> ServiceProcess:
        """Start a second feed beside the first; the first is asked to hear of it."""
        second = ServiceProcess("feed", self._settings(symbols, "both"), self._log.with_name("second.log"))
        second.start()
        async with asyncio.timeout(WAIT_S):
            await until(self._both_share)
        return second

    async def _both_share(self) -> bool:
        return await self.metric("pms_feed_members") == 2

    def _settings(self, symbols: str, source: str) -> dict[str, str]:
        return {
            "PMS_NAMESPACE": self.names.namespace,
            "PMS_REDIS_URL": self._redis_url,
            "PMS_FEED_SYMBOLS": symbols,
            "PMS_L1_SOURCE": source,
            "PMS_BINANCE_REST_URL": self._address["rest"],
            "PMS_BINANCE_WS_URL": self._address["ws"],
            "PMS_FEED_METRICS_PORT": "0",
        }

    async def _answers_ready(self) -> bool:
        try:
            async with self._http.get(f"{self._probe}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def kill(self) -> None:
        """End the feed as a crash does."""
        assert self.feed is not None
        self.feed.kill()

    async def close(self) -> None:
        """End the feed properly; it must end with code 0."""
        if self.feed is not None and self.feed.running:
            assert await self.feed.end() == 0, self.feed.log
        await self.redis.aclose()

    # -- the exchange

    @property
    def ws_url(self) -> str:
        """The simulator's WebSocket address."""
        return self._address["ws"]

    @property
    def rest_url(self) -> str:
        """The simulator's REST address."""
        return self._address["rest"]

    async def requests(self, route: str) -> int:
        """How many requests of a route have come."""
        async with self._http.get(self._address["rest"] + "/sim/requests") as answer:
            seen = await answer.json()
        return sum(route in str(request) for request in (seen if isinstance(seen, list) else seen["requests"]))

    async def post(self, path: str, **body: Any) -> Any:
        """A control request to the simulator."""
        async with self._http.post(self._address["rest"] + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    def stop_simulator(self) -> None:
        """The venue is gone, its sockets with it."""
        self._simulator.kill()

    async def market(self, bid: float, ask: float, symbol: str = "BTCUSDT") -> None:
        """Set a symbol's best bid and ask."""
        await self.post("/sim/market", symbol=symbol, bid=f"{bid:.2f}", ask=f"{ask:.2f}", bidQty="10", askQty="10")

    async def public_sockets(self) -> int:
        """Connections on the public route."""
        async with self._http.get(self._address["rest"] + "/sim/state") as answer:
            state = await answer.json()
        return int(state["sockets"]["public"])

    # -- the feed

    async def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        async with self._http.get(f"{self._probe}/metrics") as answer:
            text = await answer.text()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    async def lease(self, owner: str, symbols: list[str], lasts_ms: int = 60_000) -> None:
        """Ask for symbols."""
        lease = WatchLease(owner=owner, symbols=symbols, until_ms=now_ms() + lasts_ms)
        await self.redis.xadd(self.names.watch, {"data": encode(lease)})

    async def read(self) -> None:
        """Take what has come on the ticks stream."""
        got: Any = await self.redis.xread({self.names.ticks: self._last}, count=10_000)
        for _, entries in got or ():
            for entry_id, fields in entries:
                self._last = entry_id
                self.entries += 1
                self.ticks += ticks.decode(fields[b"data"])

    async def tick(self, wanted: Callable[[Tick], bool], within_s: float = WAIT_S) -> Tick:
        """The first tick from now on that is wanted."""
        seen = len(self.ticks)
        try:
            async with asyncio.timeout(within_s):
                while True:
                    await self.read()
                    for tick in self.ticks[seen:]:
                        if wanted(tick):
                            return tick
                    seen = len(self.ticks)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"no such tick; the last ones: {self.ticks[-5:]}") from None

    async def price(self, symbol: str = "BTCUSDT") -> dict[str, Any]:
        """The cached price, once it is there."""
        async with asyncio.timeout(WAIT_S):
            value = await until(lambda: self.redis.get(self.names.price(symbol)))
        found: dict[str, Any] = json.loads(value)
        return found


@asynccontextmanager
async def rig(names: Names, redis_url: str, log: Path) -> AsyncIterator[Rig]:
    """A simulator whose market moves only when told; the feed is not started yet."""
    simulator = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms_simulator", "--port", "0", "--market", "manual"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert simulator.stdout is not None
    async with asyncio.timeout(WAIT_S):
        address = json.loads(await simulator.stdout.readline())
    async with aiohttp.ClientSession() as http:
        made = Rig(names, redis_url, simulator, address, http, log)
        try:
            yield made
        finally:
            await made.close()
            if simulator.returncode is None:
                simulator.terminate()
            await asyncio.wait_for(simulator.wait(), WAIT_S)
