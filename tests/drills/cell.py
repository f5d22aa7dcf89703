"""One cell of PMS with its servers and the simulated exchange, every part of which can be taken away alone.

Owns processes, ports and folders. Never trades. Used by the drills.
"""

import asyncio
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from tests.drills import clock
from tests.services import ServiceProcess

from pms_cli import migrate
from pms_cli.embedded import Child, free_port, start_postgres, start_valkey
from pms_cli.system.place import Place
from pms_common.names import Names

READY_WITHIN_S = 120.0
LOOK_S = 0.02
WRITERS = ("orders", "risk", "algos", "gateway")
SERVICES = ("feed", *WRITERS)
LIMITS = ("ORDERS_PER_MINUTE", "ORDERS_PER_TEN_SECONDS", "WEIGHT_PER_MINUTE")


@dataclass(frozen=True, slots=True)
class Account:
    """Of the exchange."""

    name: str
    settings: dict[str, str]


MAIN = Account("main", {})


class Exchange:
    """The simulated exchange, which outlives cells: its truth is in its memory."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.settings = {"PMS_BINANCE_ENV": "sim", "PMS_SIM_PORT": str(port)}
        own = {"PMS_SIM_SYMBOLS": "BTCUSDT,ETHUSDT", "PMS_SIM_BALANCE": "1000000", "PMS_LOG_LEVEL": "WARNING"}
        own |= dict.fromkeys((f"PMS_SIM_LIMIT_{name}" for name in LIMITS), "100000")
        self.process = ServiceProcess("simulator", {**self.settings, **own}, folder / "simulator.log")

    async def start(self) -> None:
        """Start it."""
        self.process.start()
        await _until_ok(f"{self.url}/sim/state")

    async def open_account(self, name: str) -> Account:
        """Another account."""
        key = {"apiKey": f"key-{name}", "apiSecret": f"secret-{name}"}
        body = {**key, "account": name, "balance": "1000000"}
        async with aiohttp.ClientSession() as http, http.post(f"{self.url}/sim/accounts", json=body) as response:
            assert response.ok, await response.text()
        settings = {"PMS_BINANCE_API_KEY": key["apiKey"], "PMS_BINANCE_API_SECRET": key["apiSecret"]}
        return Account(name, settings)


class Cell:
    """The servers and the processes of a cell, by names such as `orders-a`."""

    def __init__(self, folder: Path, exchange: Exchange, process: type[ServiceProcess] = ServiceProcess) -> None:
        self.folder = folder
        self.exchange = exchange
        self.beside: list[Child] = []
        """Servers beside these two."""
        self._process = process
        self.names = Names("drill")
        self.account = MAIN
        self.processes: dict[str, ServiceProcess] = {}
        self._ports: dict[str, int] = {}
        self.valkey: Child
        self.postgres: Child
        self.redis_url = ""

    @property
    def place(self) -> Place:
        """Where it answers."""
        urls = {name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()}
        leading = next((urls[name] for name in ("gateway-b", "gateway-a") if name in urls), "")
        where = (self.redis_url, self.postgres.url, leading, self.exchange.url, urls)
        return Place(self.names, *where, account=self.account.name)

    # -- servers

    async def start_servers(self) -> None:
        """Redis and PostgreSQL with the newest schema."""
        self.start_valkey()
        self.start_postgres()
        await self.migrate()

    async def migrate(self) -> None:
        """The newest schema."""
        await asyncio.to_thread(migrate.upgrade, self.postgres.url)

    def start_valkey(self) -> None:
        """Redis, with the data it left."""
        self.valkey = start_valkey(self.folder / "valkey", self._port("valkey"))
        self.redis_url = self.redis_url or self.valkey.url

    def start_postgres(self) -> None:
        """PostgreSQL, with the data it left."""
        self.postgres = start_postgres(self.folder / "postgres", self._port("postgres"))

    def move(self, folder: Path) -> "Cell":
        """The same cell elsewhere: its data is copied, nothing of it runs yet."""
        folder.mkdir()
        for server in ("valkey", "postgres"):
            shutil.copytree(self.folder / server, folder / server, ignore=shutil.ignore_patterns("*.sock", "*.pid"))
        return Cell(folder, self.exchange)

    # -- processes

    async def start(self, names: Iterable[str]) -> None:
        """Start processes; they are ready, or stand by, some time later."""
        for name in names:
            service = name.partition("-")[0]
            port_name = "PMS_GATEWAY_PORT" if service == "gateway" else f"PMS_{service.upper()}_METRICS_PORT"
            settings = {
                **self.exchange.settings,
                **self.account.settings,
                port_name: str(self._port(name)),
                "PMS_NAMESPACE": self.names.feed if service == "feed" else self.names.namespace,
                "PMS_FEED_NAMESPACE": self.names.feed,
                "PMS_REDIS_URL": self.redis_url,
                "PMS_LOG_LEVEL": "WARNING",
                **clock.settings(self.folder),
            }
            if service != "feed":
                settings["PMS_DATABASE_URL"] = self.postgres.url
            process = self.processes[name] = self._process(service, settings, self.folder / f"{name}.log")
            process.start()

    async def stop(self, names: Iterable[str]) -> None:
        """End processes in order."""
        for name in names:
            await self.processes.pop(name).end()
            del self._ports[name]

    def kill(self, name: str) -> None:
        """kill -9."""
        self.processes.pop(name).kill()
        del self._ports[name]

    async def until_ready(self, names: Iterable[str]) -> float:
        """Wait until each of these does its work; for how many seconds."""
        began_s = time.monotonic()
        for name in names:
            await _until_ok(f"http://127.0.0.1:{self._ports[name]}/ready")
        return time.monotonic() - began_s

    async def until_standing_by(self, name: str) -> None:
        """Wait until this process knows that another leads."""
        async with aiohttp.ClientSession() as http, asyncio.timeout(READY_WITHIN_S):
            while not await _says(http, f"http://127.0.0.1:{self._ports[name]}/ready", "standby"):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)

    async def end(self) -> None:
        """End all of it."""
        await self.stop(list(self.processes))
        for server in (self.postgres, *self.beside, self.valkey):
            server.stop()

    def _port(self, name: str) -> int:
        return self._ports.setdefault(name, free_port())


async def _until_ok(url: str) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(READY_WITHIN_S):
        while not await _says(http, url, "", 200):  # noqa: ASYNC110 (a process tells nobody)
            await asyncio.sleep(LOOK_S)


async def _says(http: aiohttp.ClientSession, url: str, word: str, status: int | None = None) -> bool:
    try:
        async with http.get(url) as response:
            return word in await response.text() and status in (None, response.status)
    except aiohttp.ClientError:
        return False
