"""`pms demo`: what a newcomer runs first ends well, tells what happened, and would notice if the books differed."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from pms_cli.books import Asset, Books

pytestmark = pytest.mark.slow


def test_demo_ends_with_equal_books_and_leaves_nothing_behind(tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    command = [sys.executable, "-m", "pms_cli", "demo", "--seconds", "1", "--json", str(report_file)]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(report_file.read_text())
    assert report["equal"] is True
    assert report["commands"] >= 16
    assert Decimal(str(report["difference"])) == 0
    for told in (
        "alice buys 0.05",
        "against alice",
        "cancels it: cancelled",
        "VALIDATION_FAILED",
        "chase",
        "of 20 lots",
        "scalps",
        "trailing stop",
        "closes",
        "tier 2",
        "everything is closed",
    ):
        assert told in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def books(**changed: object) -> Books:
    """Equal books, but for what is changed."""
    same: dict[str, object] = {
        "positions": {"BTCUSDT": Decimal("0.1")},
        "exchange_positions": {"BTCUSDT": Decimal("0.100")},
        "accounts_cash": Decimal("10.5"),
        "ledger": Decimal("10.50"),
        "house": {"capital": Decimal(2)},
        "wallet": Decimal("12.5"),
        "others": {"BNB": Asset(house={"capital": Decimal(3), "commission": Decimal(-1)}, wallet=Decimal(2))},
        "netting": {"netting:ETHUSDT": Decimal("0.00000002")},
        "executions": 2,
    }
    return Books(**{**same, **changed})  # type: ignore[arg-type]


def test_books_are_equal_only_to_the_contract_and_to_eight_decimals() -> None:
    assert books().equal
    assert not books(positions={"BTCUSDT": Decimal("0.101")}).equal
    assert not books(positions={}).equal
    assert not books(wallet=Decimal("12.50000001")).equal
    assert not books(ledger=Decimal("10.49")).equal
    assert not books(others={"BNB": Asset(house={}, wallet=Decimal("0.00000001"))}).equal
    assert not books(executions=1).equal, "a netting book of a symbol that nobody holds has rounding only"
