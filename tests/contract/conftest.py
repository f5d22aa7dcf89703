"""A simulator in a process of its own, for clients that block; its market stands still unless a test moves it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class SimulatorProcess:
    """Base URLs of a running simulator."""

    rest: str
    ws: str
    ws_api: str

    def control(self, path: str, body: dict[str, Any]) -> Any:
        """A control request."""
        request = urllib.request.Request(f"{self.rest}/sim/{path}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
    command = [sys.executable, "-m", "pms_simulator", "--port", "0", "--market", "manual"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        running = SimulatorProcess(address["rest"], address["ws"], address["wsApi"])
        running.control(
            "market", {"symbol": "BTCUSDT", "bid": "60000.00", "ask": "60000.10", "bidQty": "50", "askQty": "50"}
        )
        yield running
        process.terminate()
        assert process.wait(timeout=10) == 0
