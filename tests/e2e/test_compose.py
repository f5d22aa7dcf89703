"""The containers of deploy/compose, driven by a Node backend while containers are killed and networks are cut.

Builds the image and needs a Docker engine and minutes: `make compose-test`, which sets PMS_TEST_COMPOSE.
"""

import asyncio
import json
import os
import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from tests.chaos.trading import Trading
from tests.node import ROOT, run

from pms_cli.embedded import free_port
from pms_cli.system.place import Place
from pms_common.names import Names

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(
        not os.environ.get("PMS_TEST_COMPOSE"), reason="make compose-test: minutes, and a Docker engine"
    ),
]
PROJECT = f"pms-test-{os.getpid()}"
QUIET_S = 2.0
SERVICES = ("feed", "orders", "risk", "algos", "gateway")
HEALTHY_WITHIN_S = 180.0
CUT_S = 3.0
SIMULATOR_PORT = 9900


class Compose:
    """The project of this test."""

    def __init__(self) -> None:
        self._env = {**os.environ, "GATEWAY_PORT": str(free_port()), "BUS_NETWORK": PROJECT}

    def __call__(self, *words: str, within_s: float = 600.0) -> str:
        """What `docker compose` printed."""
        file = ROOT / "deploy" / "compose" / "compose.yaml"
        return self._run("docker", "compose", "-p", PROJECT, "-f", str(file), *words, within_s=within_s)

    def docker(self, *words: str) -> str:
        """What `docker` printed."""
        return self._run("docker", *words, within_s=60.0)

    def _run(self, *command: str, within_s: float) -> str:
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=within_s, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def up(self, tries: int = 4) -> None:
        """Start everything and wait until it is healthy; a busy machine may take longer than one wait allows."""
        for left in reversed(range(tries)):
            try:
                self("up", "--detach", "--wait", within_s=900)
            except AssertionError:
                if not left:
                    raise
            else:
                return

    def until_healthy(self, service: str) -> None:
        """Wait until its health check says so; fails with what that says instead."""
        until_s = time.monotonic() + HEALTHY_WITHIN_S
        while True:
            try:
                self("exec", "-T", service, "python", "-m", "pms_cli.probe")
            except AssertionError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(1.0)
            else:
                return

    def secret(self, path: str) -> str:
        """A file of the volume `secrets`."""
        return self("run", "--rm", "--no-deps", "--entrypoint", "cat", "secrets", f"/secrets/{path}")

    def address(self, service: str) -> str:
        """Where a container is reached from its host."""
        container = self("ps", "--quiet", service)
        networks = json.loads(self.docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
        return str(networks[PROJECT]["IPAddress"])

    def cut(self, service: str) -> None:
        """Take a container off its network for a while."""
        container = self("ps", "--quiet", service)
        self.docker("network", "disconnect", PROJECT, container)
        time.sleep(CUT_S)
        self.docker("network", "connect", "--alias", service, PROJECT, container)


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    """All of core and simulator, up and healthy; gone afterwards with their volumes."""
    project = Compose()
    try:
        project.up()
        yield project
    finally:
        project("down", "--volumes", "--timeout", "20")


def _place(compose: Compose) -> Place:
    """Where the containers answer now, for a JS backend."""
    redis = make_url(compose.secret("js/redis_url")).set(host=compose.address("redis"))
    who = {"host": compose.address("postgres"), "password": compose.secret("postgres/password")}
    database = make_url("postgresql+asyncpg://postgres@/pms").set(**who)
    return Place(
        Names("pms"),
        redis.render_as_string(hide_password=False),
        database.render_as_string(hide_password=False),
        simulator=f"http://{compose.address('simulator')}:{SIMULATOR_PORT}",
    )


def _account(compose: Compose) -> str:
    created = _operator(compose, "account", "action=create", f"name=compose-{uuid.uuid4().hex[:8]}", "balance=20000")
    account = str(json.loads(created)["subAccountId"])
    rules = ("maxNotionalPerTrade=1000000", "maxTotalExposure=1000000", "maxOpenOrders=1000")
    _operator(compose, "account", "action=set_rules", f"subAccountId={account}", *rules)
    return account


def _operator(compose: Compose, *words: str) -> str:
    return compose("run", "--rm", "--no-deps", "terminal", "send", *words)


async def test_killed_containers_and_cut_networks_lose_and_repeat_nothing(
    compose: Compose, node_folder: Path, tmp_path: Path
) -> None:
    trading = Trading(_place(compose))
    trading.accounts = [_account(compose) for _ in range(3)]
    enough = tmp_path / "enough"
    env = {"PMS_REDIS_URL": trading.place.redis, "PMS_ACCOUNTS": ",".join(trading.accounts), "PMS_UNTIL": str(enough)}
    backend = asyncio.to_thread(run, "node", "backend.mjs", cwd=node_folder, within_s=900, **env)
    printed, _ = await asyncio.gather(backend, asyncio.to_thread(_break, compose, enough))
    trading.place = _place(compose)
    report: dict[str, Any] = json.loads(printed)
    trading.sent = {request_id: (account, command) for request_id, (account, command) in report["sent"].items()}
    trading.results = {request_id: result for request_id, result in report["results"].items() if result is not None}
    await trading.cancel_all_resting()
    books = await trading.settled()
    assert books.equal, books
    await trading.check()
    told = defaultdict[tuple[str, int], list[int]](list)
    for event in report["events"]:
        told[event["subAccountId"], event["epoch"]].append(event["seq"])
    for account, numbers in told.items():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"the backend missed events of {account}"
    assert {account for account, _ in told} >= set(trading.accounts)
    refused = [result["errorCode"] for result in trading.results.values() if not result["success"]]
    assert len(refused) < len(trading.results) / 2, refused


def _break(compose: Compose, enough: Path) -> None:
    """Every service and server is killed in turn and started again; then risk, orders and the exchange are cut off."""
    try:
        for service in (*SERVICES, "redis", "postgres"):
            compose("restart", "--timeout", "0", service)
            time.sleep(QUIET_S)
        for service in ("risk", "orders", "simulator"):
            compose.cut(service)
            time.sleep(QUIET_S)
        for service in SERVICES:
            compose.until_healthy(service)
    finally:
        enough.touch()
