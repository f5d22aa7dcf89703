"""A system of its own for a test that breaks it, and hands that break it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.trading import pids

from pms_cli.system.place import READY_FILE, Place
from pms_cli.system.running import running_system

LIMITS = ("ORDERS_PER_MINUTE", "ORDERS_PER_TEN_SECONDS", "WEIGHT_PER_MINUTE")


class Broken:
    """A running system, and `kill`."""

    def __init__(self, place: Place, ready_file: Path) -> None:
        self.place = place
        self._ready_file = ready_file

    def kill(self, service: str) -> None:
        """kill -9; the supervisor starts it again."""
        with contextlib.suppress(ProcessLookupError):  # it is just being started again after an earlier one
            os.kill(pids(self._ready_file)[service], signal.SIGKILL)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    """A system on a synthetic market, broken by one test after the other."""
    folder = tmp_path_factory.mktemp("broken")
    env = {"PMS_SIM_SYMBOLS": "BTCUSDT,ETHUSDT", "PMS_SIM_BALANCE": "1000000"}
    env |= dict.fromkeys((f"PMS_SIM_LIMIT_{name}" for name in LIMITS), "100000")
    with running_system(folder, env) as (place, _):
        yield Broken(place, folder / READY_FILE)
