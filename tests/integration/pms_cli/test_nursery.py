"""Forked services: their ends are told, and they die with who forked them."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pms_cli.embedded import free_port
from pms_cli.embedded.process import Child, running
from pms_cli.system.nursery import Nursery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="services are forked on Linux only")
PATIENCE_S = 60


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def start(nursery: Nursery, tmp_path: Path) -> tuple[Child, str]:
    port = free_port()
    child = nursery.start("simulator", {**os.environ, "PMS_SIM_PORT": str(port)}, tmp_path / "log")
    return child, f"http://127.0.0.1:{port}"


def parent_of(child: Child) -> int:
    return int(Path(f"/proc/{child.pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])


def answer(child: Child, url: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as found:
                text: str = found.read().decode()
                return text
        except OSError:
            assert child.alive(), child.log and child.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_forked_service_runs_under_its_name_and_its_end_is_told(nursery: Nursery, tmp_path: Path) -> None:
    child, url = start(nursery, tmp_path)
    assert "serverTime" in answer(child, f"{url}/fapi/v1/time")
    assert Path(f"/proc/{child.pid}/comm").read_text().strip() == "pms-simulator"
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(0.05)
    child.process.terminate()
    assert child.process.wait(PATIENCE_S) == 0
    again, url = start(nursery, tmp_path)
    answer(again, f"{url}/fapi/v1/time")
    again.process.kill()
    assert again.process.wait(PATIENCE_S) == -signal.SIGKILL
    assert not running(again.pid)


def test_bad_settings_end_it_with_the_reason_in_its_log(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.start("feed", {"PMS_FEED_SYMBOL": "BTCUSDT"}, tmp_path / "log")
    assert child.process.wait(PATIENCE_S) == 2
    assert "PMS_FEED_SYMBOLS" in (tmp_path / "log").read_text()


def test_the_nursery_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_BINANCE_API_SECRET", "not-for-the-nursery")
    nursery = Nursery()
    try:
        child, _ = start(nursery, tmp_path)
        assert b"not-for-the-nursery" not in Path(f"/proc/{parent_of(child)}/environ").read_bytes()
    finally:
        nursery.close()


def test_services_die_with_the_nursery_and_another_one_takes_over(nursery: Nursery, tmp_path: Path) -> None:
    child, url = start(nursery, tmp_path)
    answer(child, f"{url}/fapi/v1/time")
    os.kill(parent_of(child), signal.SIGKILL)
    assert child.process.wait(PATIENCE_S) == -signal.SIGTERM
    deadline = time.monotonic() + PATIENCE_S
    while running(child.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again, url = start(nursery, tmp_path)
    assert "serverTime" in answer(again, f"{url}/fapi/v1/time")
