"""A short seeded run of the fault schedules; the long one is `make faults`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 240
"""On a machine that does much else, too."""


@pytest.mark.chaos
@pytest.mark.slow
def test_schedules_leave_nothing_duplicate_lost_or_untrue(database_url: str) -> None:
    command = [sys.executable, "-m", "tests.faults", "--schedules", "12", "--seed", "1", "--database-url", database_url]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert run.returncode == 0, f"{run.stdout[-20_000:]}\n{run.stderr[-5_000:]}"
    assert "12 schedules" in run.stdout
    assert "kills" in run.stdout
