"""`pms up` with real processes: ready file, restarts, a clean end, nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pms_cli.embedded.process import running
from pms_cli.embedded.state import StateDirectory

pytestmark = pytest.mark.slow

PORTS = ("GATEWAY_PORT", "SIM_PORT", *(f"{name}_METRICS_PORT" for name in ("FEED", "ORDERS", "ALGOS", "RISK")))


class Up:
    """A running `pms up --only feed` on embedded servers, with the simulator the feed needs."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.ready_file = directory / "ready.json"
        self.log = directory / "up.log"
        env = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
        command = [sys.executable, "-m", "pms_cli", "up", "--only", "feed", "--state-dir", str(self.state)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--ready-file", str(self.ready_file)],
                env={**env, **{f"PMS_{port}": "0" for port in PORTS}},
                cwd=directory,
                stdout=log,
                stderr=log,
            )

    def wait(self, what: Callable[[dict[str, Any]], bool] = bool, within_s: float = 60) -> dict[str, Any]:
        """The ready file's content, once `what` holds for it."""
        deadline = time.monotonic() + within_s
        while True:
            if self.ready_file.exists():
                ready: dict[str, Any] = json.loads(self.ready_file.read_text())
                if what(ready):
                    return ready
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def pids(self, ready: dict[str, Any]) -> list[int]:
        return [part["pid"] for group in ("services", "servers") for part in ready[group].values()]

    def ports(self, ready: dict[str, Any]) -> list[int]:
        urls = [ready["redis"], ready["database"], ready["simulator"], ready["services"]["feed"]["metrics"]]
        return [int(url.split("://")[1].split(":")[1].split("/")[0]) for url in urls]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    system = Up(tmp_path)
    yield system
    if system.process.poll() is None:
        system.process.terminate()
        system.process.wait(30)


def _all_gone(pids: list[int], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while any(running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(running(pid) for pid in pids)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_tells_when_all_are_ready_restarts_what_dies_and_ends_cleanly(up: Up) -> None:
    ready = up.wait()
    assert set(ready) >= {"redis", "database", "gateway", "simulator", "services"}
    assert ready["gateway"] is None
    assert set(ready["services"]) == {"simulator", "feed"}
    with urllib.request.urlopen(ready["services"]["feed"]["metrics"], timeout=5) as answer:
        assert b"pms_ready" in answer.read()

    feed = ready["services"]["feed"]["pid"]
    os.kill(feed, signal.SIGKILL)
    again = up.wait(lambda now: now["services"]["feed"]["pid"] != feed)
    assert again["services"]["simulator"]["pid"] == ready["services"]["simulator"]["pid"]

    valkey = ready["servers"]["valkey"]["pid"]
    os.kill(valkey, signal.SIGKILL)
    third = up.wait(lambda now: now["servers"]["valkey"]["pid"] != valkey)
    assert third["redis"] == ready["redis"]  # the same port

    up.process.terminate()
    assert up.process.wait(30) == 0
    assert _all_gone(up.pids(third), within_s=0)
    assert not [port for port in up.ports(third) if _answers(port)]
    assert not up.ready_file.exists()
    with StateDirectory(up.state):
        pass
    assert "feed      | " in up.log.read_text()


def test_killed_it_takes_everything_with_it_and_a_second_one_starts_on_the_same_state(up: Up, tmp_path: Path) -> None:
    ready = up.wait()
    up.process.kill()
    up.process.wait()
    assert "simulated_exchange_starts_empty" not in up.log.read_text()
    second = Up(tmp_path)
    try:
        assert _all_gone(up.pids(ready))
        second.wait(lambda now: now["services"] != ready["services"])
        assert "simulated_exchange_starts_empty" in second.log.read_text(), "the books are those of the first"
    finally:
        second.process.terminate()
        assert second.process.wait(30) == 0


def test_a_second_one_on_the_same_state_is_refused_and_leaves_the_first_alone(up: Up, tmp_path: Path) -> None:
    ready = up.wait()
    command = [sys.executable, "-m", "pms_cli", "up", "--only", "feed", "--state-dir", str(up.state)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert f"{up.state} is in use by pid {up.process.pid}" in done.stderr
    assert all(running(pid) for pid in up.pids(ready))
