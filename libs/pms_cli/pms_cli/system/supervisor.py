"""Runs the services of a plan as processes: starts, restarts what dies, knows what is ready, stops all.

Never looks inside a service: it sees whether the process runs and what `/ready` says. Used by `up`.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from pms_cli.embedded.process import Child, ServerError
from pms_cli.system.logs import LogSink, Prefixer
from pms_cli.system.nursery import Nursery
from pms_cli.system.plan import SIMULATOR, Plan
from pms_cli.system.servers import Servers
from pms_common.logging import get_logger

log = get_logger(__name__)

LOOK_EVERY_S = 0.05
PROBE_EVERY_S = 0.2
BACKOFF_S = (0.1, 5.0)
SETTLED_S = 30.0
"""A service that has run this long starts again at once, as one that never failed."""
STOP_WITHIN_S = 12.0
"""A little more than a service itself takes at most (`pms_common.service.STOP_WITHIN_S`)."""


@dataclass(slots=True)
class Service:
    """One service's process, and when it may be started again after it died."""

    name: str
    url: str
    child: Child | None = None
    since: float = 0.0
    failures: int = 0
    start_at: float = 0.0


class Supervisor:
    """The processes of one plan. `start`, then `watch` as a task, `stop` at the end."""

    def __init__(self, plan: Plan, servers: Servers, nursery: Nursery, sink: LogSink, ready_file: Path) -> None:
        self._plan = plan
        self._nursery = nursery
        self._servers = servers
        self._sink = sink
        self._ready_file = ready_file
        self._told: dict[str, Any] | None = None
        self.services = {name: Service(name, plan.urls[name]) for name in plan.services}
        self.all_ready = asyncio.Event()

    async def start(self) -> None:
        """Start all services, the simulator before those that ask it for symbols."""
        for service in self.services.values():
            await self._start(service)
            if service.name == SIMULATOR:
                await self._wait_for_health(service)

    async def watch(self) -> None:
        """Restart what dies and tell what is ready, until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            probe_at = 0.0
            while True:
                await self._restart_dead()
                if time.monotonic() >= probe_at:
                    await self._probe(session)
                    probe_at = time.monotonic() + PROBE_EVERY_S
                await asyncio.sleep(LOOK_EVERY_S)

    async def stop(self) -> None:
        """Stop all services: the simulator last, so that the others can end what they have begun."""
        self._ready_file.unlink(missing_ok=True)
        others = [service for service in self.services.values() if service.name != SIMULATOR]
        await self._stop(others)
        await self._stop([service for service in self.services.values() if service.name == SIMULATOR])

    def description(self) -> dict[str, Any]:
        """The content of the ready file (interfaces: `pms up --ready-file`)."""
        services = {
            service.name: {"pid": service.child.pid if service.child else None, "metrics": f"{service.url}/metrics"}
            for service in self.services.values()
        }
        return {
            "redis": self._servers.redis_url,
            "database": self._servers.database_url,
            "gateway": self._plan.urls.get("gateway"),
            "simulator": self._plan.urls.get(SIMULATOR),
            "services": services,
            "servers": {name: {"pid": child.pid} for name, child in self._servers.children.items()},
        }

    async def _start(self, service: Service) -> None:
        service.child = self._nursery.start(service.name, self._plan.environment(service.name))
        service.since = time.monotonic()
        output = service.child.process.stdout
        await asyncio.get_running_loop().connect_read_pipe(lambda: Prefixer(service.name, self._sink), output)

    async def _wait_for_health(self, service: Service, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while time.monotonic() < deadline and service.child is not None and service.child.alive():
                if await _ok(session, f"{service.url}/health"):
                    return
                await asyncio.sleep(LOOK_EVERY_S)

    async def _restart_dead(self) -> None:
        try:
            for name in self._servers.restart_dead():
                log.error("server_restarted", server=name)
        except ServerError as error:
            log.error("server_does_not_start", error=str(error))
            await asyncio.sleep(1.0)
        now = time.monotonic()
        for service in self.services.values():
            if service.child is not None and not service.child.alive():
                self._note_death(service, now)
            if service.child is None and now >= service.start_at:
                await self._start(service)

    def _note_death(self, service: Service, now: float) -> None:
        code = service.child.process.returncode if service.child else None
        service.failures = 0 if now - service.since > SETTLED_S else service.failures + 1
        pause = min(BACKOFF_S[0] * 2 ** max(0, service.failures - 1), BACKOFF_S[1])
        log.error("service_died", died=service.name, exit_code=code, again_in_s=pause)
        service.child = None
        service.start_at = now + pause
        self.all_ready.clear()

    async def _probe(self, session: aiohttp.ClientSession) -> None:
        urls = [f"{service.url}/ready" for service in self.services.values()]
        ready = all(await asyncio.gather(*(_ok(session, url) for url in urls)))
        if not ready or any(service.child is None for service in self.services.values()):
            self.all_ready.clear()
            return
        self.all_ready.set()
        description = self.description()
        if description != self._told:
            part = self._ready_file.with_name(self._ready_file.name + ".part")
            part.write_text(json.dumps(description, indent=1), encoding="utf-8")
            part.replace(self._ready_file)
        self._told = description

    async def _stop(self, services: list[Service]) -> None:
        children = [service.child for service in services if service.child is not None]
        for child in children:
            if child.alive():
                child.process.terminate()
        for _ in range(round(STOP_WITHIN_S / LOOK_EVERY_S)):
            if not any(child.alive() for child in children):
                break
            await asyncio.sleep(LOOK_EVERY_S)
        for child in children:
            if child.alive():
                log.error("service_killed", name=child.name, why=f"did not stop within {STOP_WITHIN_S:g} s")
            child.stop(within_s=0)


async def _ok(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
