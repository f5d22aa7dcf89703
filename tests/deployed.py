"""The system as it is deployed: each service with its own Redis user and database role (`pms passwords`, `deploy`)."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from redis import Redis
from tests.services import PATIENCE_S, ServiceProcess

from pms_cli import migrate, passwords
from pms_cli.embedded import free_port, start_postgres, start_valkey
from pms_cli.system.place import Place
from pms_common.db import connect
from pms_common.names import Names

ROOT = Path(__file__).parent.parent
ACL = ROOT / "deploy" / "redis" / "users.acl"
ROLES = ROOT / "deploy" / "postgres" / "roles.sql"
PORTS = ("SIM_PORT", "GATEWAY_PORT", *(f"{name}_METRICS_PORT" for name in ("FEED", "ORDERS", "ALGOS", "RISK")))


def set_users(url: str, acl: str) -> None:
    """Give a server the users of an ACL file; its default user stays on, for the test to look around."""
    with Redis.from_url(url) as admin:
        for line in acl.splitlines():
            _, name, *rules = line.split()
            if name != "default":
                admin.execute_command("ACL", "SETUSER", name, *rules)


@dataclass(frozen=True)
class Deployed:
    """Where it answers, for an operator; and the URLs of its Redis for a JS backend and for who may do everything."""

    place: Place
    js: str
    admin: str


@contextlib.contextmanager
def deployed_system(folder: Path, settings: Mapping[str, str]) -> Iterator[Deployed]:
    """Everything, each process with only its own rights."""
    with contextlib.ExitStack() as stack:
        valkey, postgres = start_valkey(folder / "valkey"), start_postgres(folder / "postgres")
        stack.callback(postgres.stop)
        stack.callback(valkey.stop)
        made = folder / "passwords"
        passwords.write(made, passwords.Servers(valkey.url, postgres.url.replace("postgres@", ""), (ACL,)))
        set_users(valkey.url, (made / "redis" / "users.acl").read_text())
        migrate.upgrade(postgres.url)
        asyncio.run(set_roles(postgres.url, (made / "postgres" / "passwords.sql").read_text()))
        ports = {name: free_port() for name in PORTS}
        shared = {**settings, "PMS_BINANCE_ENV": "sim", **{f"PMS_{name}": str(port) for name, port in ports.items()}}
        urls = {}
        for port, service in zip(ports, ("simulator", "gateway", "feed", "orders", "algos", "risk"), strict=True):
            process = ServiceProcess(service, shared | _secrets(made / service), folder / f"{service}.log")
            process.start()
            stack.callback(process.stop)
            urls[service] = f"http://127.0.0.1:{ports[port]}"
        asyncio.run(_all_ready([url for name, url in urls.items() if name != "simulator"], folder))
        operator, js = ((made / who / "redis_url").read_text().strip() for who in ("operator", "js"))
        place = Place(Names(), operator, postgres.url, urls["gateway"], urls["simulator"], urls)
        yield Deployed(place, js, valkey.url)


def _secrets(folder: Path) -> dict[str, str]:
    names = ("redis_url", "database_url")
    return {f"PMS_{name.upper()}_FILE": str(folder / name) for name in names if (folder / name).exists()}


async def set_roles(url: str, passwords_sql: str) -> None:
    """Give a server the roles of `deploy/postgres`, after a migration."""
    connection = await connect(url)
    try:
        await connection.execute(ROLES.read_text())
        await connection.execute(passwords_sql)
    finally:
        await connection.close()


async def _all_ready(urls: list[str], logs: Path) -> None:
    deadline = time.monotonic() + 2 * PATIENCE_S
    async with aiohttp.ClientSession() as http:
        for url in urls:
            while not await _is_ready(http, url):
                assert time.monotonic() < deadline, f"{url} is not ready: see {logs}"
                await asyncio.sleep(0.1)


async def _is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False
