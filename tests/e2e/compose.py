"""A project of deploy/compose under test: its containers, and the Node backend that trades on it from another one.

Owns how `docker` is called. Used by `test_compose`.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url
from tests.node import ROOT

from pms_cli.embedded import free_port
from pms_cli.system.place import Place
from pms_common.bus.url import parse
from pms_common.names import Names

FOLDER = ROOT / "deploy" / "compose"
WITHIN_S = 180.0
SIMULATOR_PORT = 9900
PORTS = {"feed": 9101, "orders": 9102, "algos": 9103, "risk": 9104, "gateway": 8888}
"""Where each service tells whether it is ready (docs/operations.md, health)."""


class Compose:
    """Project `name` of compose.yaml, with the settings of a file beside it."""

    def __init__(self, name: str, env_file: str = ".env") -> None:
        self.name = name
        self._files = ("-p", name, "--env-file", str(FOLDER / env_file), "-f", str(FOLDER / "compose.yaml"))
        ports = {port: str(free_port()) for port in ("GATEWAY_PORT", "GATEWAY_B_PORT")}
        self._env = {**os.environ, **ports, "BUS_NETWORK": name}

    def __call__(self, *words: str, within_s: float = 600.0) -> str:
        """What `docker compose` printed."""
        return self._run("docker", "compose", *self._files, *words, within_s=within_s)

    def docker(self, *words: str, within_s: float = 60.0) -> str:
        """What `docker` printed."""
        return self._run("docker", *words, within_s=within_s)

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

    # -- looking

    def until_healthy(self, service: str) -> None:
        """Wait until its health check says so; fails with what that says instead."""
        until_s = time.monotonic() + WITHIN_S
        while True:
            try:
                self("exec", "-T", service, "python", "-m", "pms_cli.probe")
            except AssertionError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(1.0)
            else:
                return

    def ready(self, service: str) -> bool:
        """Whether it does its work; one that stands by does not."""
        port = PORTS[service.removesuffix("-b")]
        try:
            with urllib.request.urlopen(f"http://{self.address(service)}:{port}/ready", timeout=2.0):
                return True
        except OSError:
            return False

    def secret(self, path: str) -> str:
        """A file of the volume `secrets`."""
        return self("run", "--rm", "--no-deps", "--entrypoint", "cat", "secrets", f"/secrets/{path}")

    def address(self, service: str) -> str:
        """Where a container is reached from its host; empty where it is not."""
        container = self("ps", "--quiet", service)
        networks = json.loads(self.docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
        return str(networks.get(self.name, {}).get("IPAddress", ""))

    def place(self, redis: str = "redis") -> Place:
        """Where the containers answer now, for a JS backend on this machine; `redis` is the one that leads."""
        js = parse(self.secret("js/redis_url"))
        at = f"redis://{js.username}:{js.password}@{self.address(redis)}:6379/0"
        who = {"host": self.address("postgres"), "password": self.secret("postgres/password")}
        database = make_url("postgresql+asyncpg://postgres@/pms").set(**who)
        simulator = f"http://{self.address('simulator')}:{SIMULATOR_PORT}"
        return Place(Names("pms"), at, database.render_as_string(hide_password=False), simulator=simulator)

    # -- doing

    def operator(self, *words: str) -> str:
        """What `pms send` printed to an operator."""
        return self("run", "--rm", "--no-deps", "terminal", "send", *words)

    def node(self, script: str, folder: Path, shared: Path, **env: str) -> str:
        """What a script of `folder` printed, run by the Node of this machine in a container that sees `shared`, too."""
        seen = (f"{shutil.which('node')}:/usr/local/bin/node", *(f"{path}:{path}" for path in (ROOT, folder, shared)))
        words = [word for volume in seen for word in ("--volume", f"{volume}:ro")]
        words += [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
        where = ("--network", self.name, "--user", f"{os.getuid()}:{os.getgid()}", "--workdir", str(folder))
        image = os.environ.get("PMS_IMAGE", "pms:local")
        return self.docker("run", "--rm", *where, *words, "--entrypoint", "node", image, script, within_s=1_000)

    @contextmanager
    def cut(self, service: str) -> Iterator[None]:
        """Have a container off its network."""
        container = self("ps", "--quiet", service)
        self.docker("network", "disconnect", self.name, container)
        try:
            yield
        finally:
            self.docker("network", "connect", "--alias", service, self.name, container)


def wait_until(condition: Callable[[], bool]) -> float:
    """Wait until it holds; how long that took, in seconds."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() < began_s + WITHIN_S, "it does not come true"
        time.sleep(0.1)
    return time.monotonic() - began_s
