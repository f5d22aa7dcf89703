"""A simulator in a process of its own, for clients that block; its market stands still unless a test moves it."""

import itertools
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

ACCOUNTS = 100
_numbers = itertools.count()


@dataclass(frozen=True)
class SimulatorProcess:
    """Base URLs of a running simulator, and keys of an account nobody else uses."""

    rest: str
    ws: str
    ws_api: str
    key: str
    secret: str

    def control(self, path: str, body: dict[str, Any]) -> Any:
        """A control request."""
        request = urllib.request.Request(f"{self.rest}/sim/{path}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of one simulator with an account for every test."""
    keys = tmp_path_factory.mktemp("simulator") / "keys.json"
    accounts = [{"key": f"key-{n}", "secret": f"secret-{n}", "account": f"test-{n}"} for n in range(ACCOUNTS)]
    keys.write_text(json.dumps(accounts))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
    environment["PMS_SIM_KEYS_FILE"] = str(keys)
    command = [sys.executable, "-m", "pms_simulator", "--port", "0", "--market", "manual"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(timeout=10) == 0


@pytest.fixture
def simulator(simulator_process: dict[str, str]) -> SimulatorProcess:
    """The simulator with a fresh account and a BTCUSDT quote of 60000.00 / 60000.10."""
    number = next(_numbers)
    running = SimulatorProcess(
        simulator_process["rest"],
        simulator_process["ws"],
        simulator_process["wsApi"],
        f"key-{number}",
        f"secret-{number}",
    )
    quote = {"symbol": "BTCUSDT", "bid": "60000.00", "ask": "60000.10", "bidQty": "50", "askQty": "50"}
    running.control("market", quote)
    return running
