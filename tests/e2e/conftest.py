"""A whole system for the tests that look at it from outside, and Node where it is installed."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.node import ROOT, installed, run

from pms_cli.system.place import Place
from pms_cli.system.running import running_system

NODE = Path(__file__).parent / "node"
CLIENT = ROOT / "clients" / "js"
SYNTHETIC = {"PMS_SIM_SYMBOLS": "BTCUSDT,ETHUSDT", "PMS_SIM_VOLATILITY": "0.0002"}
RunNode = Callable[[str, Place], dict[str, Any]]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything, on a synthetic market."""
    with running_system(tmp_path_factory.mktemp("system"), SYNTHETIC) as (place, _):
        yield place


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `tests/e2e/node` with what its scripts need installed, and the JS client."""
    made = installed(NODE)
    folder = tmp_path_factory.mktemp("node")
    for path in NODE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    modules = folder / "node_modules"
    modules.mkdir()
    for path in (made / "node_modules").iterdir():
        (modules / path.name).symlink_to(path)
    (modules / "pms-client").symlink_to(CLIENT)
    return folder


@pytest.fixture(scope="session")
def node(node_folder: Path) -> RunNode:
    """Runs a script of `tests/e2e/node` against a system; what it printed, read as JSON."""

    def ran(script: str, place: Place) -> dict[str, Any]:
        env = {"PMS_REDIS_URL": place.redis, "PMS_NAMESPACE": place.names.namespace}
        report: dict[str, Any] = json.loads(run("node", script, cwd=node_folder, within_s=120, **env))
        return report

    return ran
