"""The health check of a container: who is healthy, and where it asks."""

from pathlib import Path
from typing import Any

import pytest

from pms_cli import probe
from pms_common.settings import Settings


def told(ready: bool, **parts: str) -> dict[str, Any]:
    """What /ready answers; a part with a reason is not ready."""
    return {"ready": ready, "parts": {name: {"ok": not why, "why": why} for name, why in parts.items()}}


def test_a_ready_service_is_healthy() -> None:
    assert probe.unhealthy(told(True, wiring="")) == ""


def test_a_standby_is_healthy() -> None:
    assert probe.unhealthy(told(False, wiring="starting", lease="standby: process 7 on a leads")) == ""


def test_who_lost_the_lease_is_not() -> None:
    why = probe.unhealthy(told(False, wiring="", lease="Redis is away", clock="not measured"))
    assert why == "lease: Redis is away; clock: not measured"


def test_the_ports_are_those_of_the_settings() -> None:
    settings = Settings(redis_url="redis://x")
    assert {name: settings.metrics_port(name) for name in probe.PORTS} == probe.PORTS


def test_the_service_is_the_last_word_of_the_first_process(tmp_path: Path) -> None:
    line = tmp_path / "cmdline"
    line.write_text("/sbin/docker-init\0--\0pms\0run\0orders\0")
    assert probe.first_process(line) == "orders"
    line.write_text("pms\0migrate\0")
    with pytest.raises(SystemExit, match="migrate is no service"):
        probe.first_process(line)


def test_nobody_there_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["probe", "feed"])
    monkeypatch.setenv("PMS_FEED_METRICS_PORT", "1")
    with pytest.raises(SystemExit, match="feed: no answer"):
        probe.main()
