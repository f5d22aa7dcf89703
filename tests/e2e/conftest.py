"""A whole system for the tests that look at it from outside, and Node where it is installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pms_cli.system.place import Place
from pms_cli.system.running import running_system

NODE = Path(__file__).parent / "node"
SYNTHETIC = {"PMS_SIM_SYMBOLS": "BTCUSDT,ETHUSDT", "PMS_SIM_VOLATILITY": "0.0002"}
RunNode = Callable[[str, Place], dict[str, Any]]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything, on a synthetic market."""
    with running_system(tmp_path_factory.mktemp("system"), SYNTHETIC) as (place, _):
        yield place


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `tests/e2e/node` with what its scripts need installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    for path in NODE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    installed = subprocess.run(["npm", "ci", "--no-progress"], cwd=folder, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"npm cannot install what the scripts need: {installed.stderr[-300:]}")
    return folder


@pytest.fixture(scope="session")
def node(node_folder: Path) -> RunNode:
    """Runs a script of `tests/e2e/node` against a system; what it printed, read as JSON."""

    def run(script: str, place: Place) -> dict[str, Any]:
        env = {**os.environ, "PMS_REDIS_URL": place.redis, "PMS_NAMESPACE": place.names.namespace}
        done = subprocess.run(
            ["node", script], cwd=node_folder, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    return run
