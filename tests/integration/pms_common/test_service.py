"""A service's life as a real process: probes from the first second, readiness with reasons, exit codes, signals."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pms_cli.embedded import free_port

Start = Callable[..., "Process"]


class Process:
    """A service whose `wire` is the given code."""

    def __init__(self, code: str, directory: Path, port: int) -> None:
        self.port = port
        script = directory / "service.py"
        script.write_text(
            "import asyncio\nfrom pms_common.service import run\n\n"
            f"async def wire(life):\n{textwrap.indent(textwrap.dedent(code), '    ')}\n\nrun('feed', wire)\n"
        )
        env = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, script],
                env={**env, "PMS_FEED_METRICS_PORT": str(self.port)},
                cwd=directory,
                stderr=log,
            )

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for(self, path: str, status: int, within_s: float = 40) -> str:
        deadline = time.monotonic() + within_s
        while True:
            try:
                got, body = self.get(path)
                if got == status:
                    return body
            except OSError:
                pass
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = json.loads(self.get("/ready")[1])["parts"]
        return parts

    def exit_code(self) -> int:
        return self.process.wait(40)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def begin(code: str, port: int = 0) -> Process:
        started.append(Process(code, tmp_path, port or free_port()))
        return started[-1]

    yield begin
    for process in started:
        process.process.kill()
        process.process.wait()


def test_health_answers_before_wiring_has_ended_and_ready_gives_the_reasons(start: Start) -> None:
    service = start("life.ready('redis', False, 'not connected')\nawait asyncio.sleep(60)")
    assert json.loads(service.wait_for("/health", 200)) == {"service": "feed", "alive": True}
    body = json.loads(service.wait_for("/ready", 503))
    assert body["ready"] is False
    assert body["parts"]["wiring"] == {"ok": False, "why": "starting"}
    assert body["parts"]["redis"] == {"ok": False, "why": "not connected"}
    service.process.send_signal(signal.SIGTERM)
    assert service.exit_code() == 0


def test_it_is_ready_when_all_parts_are_and_has_metrics(start: Start) -> None:
    service = start("life.ready('redis', True)")
    service.wait_for("/ready", 200)
    body = service.wait_for("/metrics", 200)
    assert 'pms_ready{part="redis"} 1.0' in body
    assert "pms_loop_lag_seconds" in body
    resident = next(line for line in body.splitlines() if line.startswith("pms_resident_memory_bytes"))
    assert float(resident.split()[1]) > 1e6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_runs_the_closers_in_reverse_order_and_ends_with_0(start: Start, number: signal.Signals) -> None:
    service = start(
        """
        def closing(name):
            async def close():
                print(name, flush=True, file=__import__("sys").stderr)
            return close
        life.on_stop(closing("closed first-registered"))
        life.on_stop(closing("closed last-registered"))
        life.spawn(asyncio.sleep(60), "forever")
        """
    )
    service.wait_for("/ready", 200)
    service.process.send_signal(number)
    assert service.exit_code() == 0
    log = service.log.read_text()
    assert log.index("closed last-registered") < log.index("closed first-registered")


def test_a_failed_task_is_loud_and_ends_with_1(start: Start) -> None:
    service = start(
        """
        async def fail():
            raise RuntimeError("the reason")
        life.spawn(fail(), "the-task")
        """
    )
    assert service.exit_code() == 1
    log = service.log.read_text()
    assert "task_failed" in log
    assert "the-task" in log
    assert "RuntimeError: the reason" in log


def test_failed_wiring_ends_with_1(start: Start) -> None:
    service = start("raise ValueError('no such table')")
    assert service.exit_code() == 1
    assert "ValueError: no such table" in service.log.read_text()


def test_a_task_that_returns_is_no_failure(start: Start) -> None:
    service = start("await life.spawn(asyncio.sleep(0), 'short')")
    service.wait_for("/ready", 200)
    assert service.process.poll() is None


def test_a_closer_that_hangs_is_named_and_bounded(start: Start) -> None:
    service = start(
        """
        import pms_common.service
        pms_common.service.STOP_WITHIN_S = 0.3
        async def hang():
            await asyncio.sleep(60)
        life.on_stop(hang)
        """
    )
    service.wait_for("/ready", 200)
    began = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.exit_code() == 1
    assert time.monotonic() - began < 5
    assert "hang" in service.log.read_text()


def test_a_taken_port_ends_with_1_and_says_so(start: Start) -> None:
    first = start("pass")
    first.wait_for("/ready", 200)
    second = start("pass", first.port)
    assert second.exit_code() == 1
    assert "cannot_start" in second.log.read_text()


def test_bad_settings_end_with_2_and_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pms_common.service import run; run('feed', None)"],
        env={**os.environ, "PMS_REDIS_ULR": "x"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "feed: PMS_REDIS_ULR is no setting; the nearest one is PMS_REDIS_URL\n"


def test_a_callback_that_fails_stops_the_service(start: Start) -> None:
    service = start("life.ready('redis', True)\nasyncio.get_running_loop().call_later(0.1, lambda: 1 / 0)")
    assert service.exit_code() == 1
    assert "ZeroDivisionError" in service.log.read_text()
