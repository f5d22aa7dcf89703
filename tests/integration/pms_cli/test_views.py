"""The views on a whole running system: what was traded is listed, as JSON and in tables of 80 columns."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pms_cli.commands.views import LISTS, VIEWS
from pms_cli.system.place import READY_FILE
from pms_cli.system.running import running_system

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("system")
    with running_system(state):
        yield state / READY_FILE


def _pms(system: Path, *words: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "pms_cli", *words, "--ready-file", str(system)]
    env = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, cwd=system.parent, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_what_was_traded_is_listed(system: Path) -> None:
    created = json.loads(_pms(system, "send", "account", "action=create", "name=alice", "balance=10000"))
    account = created["subAccountId"]
    trade = [f"subAccountId={account}", "symbol=BTCUSDT", "leverage=10"]
    _pms(system, "send", "trade", *trade, "side=BUY", "quantity=0.002")
    _pms(system, "send", "limit", *trade, "side=BUY", "quantity=0.002", "price=55000")
    _pms(system, "send", "chase", *trade, "side=BUY", "quantity=0.002", "stalkOffsetPct=1")

    def listed(view: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(_pms(system, view, "--json"))
        assert not [field for row in rows for field, _ in VIEWS[view] if field not in row]
        return rows

    assert [row["name"] for row in listed("accounts")] == ["alice"]
    assert [(row["subAccountId"], row["symbol"], row["side"]) for row in listed("positions")] == [
        (account, "BTCUSDT", "LONG")
    ]
    assert "55000" in [f"{row['price']:g}" for row in listed("orders")]
    assert [row["kind"] for row in listed("algos")] == ["chase"]
    for view in LISTS:
        table = _pms(system, view)
        assert "alice" in table
        assert max(len(line) for line in table.splitlines()) <= 80
    status = _pms(system, "status")
    assert {"feed", "orders", "risk", "algos", "gateway"} <= set(status.split())
    assert "trading (0)" in status
    assert max(len(line) for line in status.splitlines()) <= 80


def test_a_halt_refuses_trades_until_trading_is_resumed(system: Path) -> None:
    account = json.loads(_pms(system, "send", "account", "action=create", "name=bob", "balance=10000"))["subAccountId"]
    trade = ("send", "trade", f"subAccountId={account}", "symbol=BTCUSDT", "side=BUY", "quantity=0.002", "leverage=10")
    (halted,) = _pms(system, "halt", "--account", account, "--json").splitlines()
    assert json.loads(halted)["state"] == "halted"
    assert [(row["account"], row["state"]) for row in json.loads(_pms(system, "status", "--json"))["trading"]] == [
        ("bob", "halted")
    ]
    refused = json.loads(_pms(system, *trade, code=1))
    assert refused["errorCode"] == "TRADING_HALTED"
    assert json.loads(_pms(system, "resume", "--account", account))["state"] == "active"
    assert json.loads(_pms(system, *trade))["success"] is True


def test_the_doctor_finds_nothing_wrong(system: Path) -> None:
    findings = json.loads(_pms(system, "doctor", "--json"))
    assert not [finding for finding in findings if finding["state"] == "wrong"]
