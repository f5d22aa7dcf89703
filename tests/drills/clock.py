"""The services' wall clock, moved for all at once: `python -m tests.drills.clock SERVICE` is a service under it.

Owns the file that says by how much it is off. The machine's own clock, Redis, PostgreSQL and the exchange keep theirs,
as when the clock of the machine is set on which only the services run.
"""

import mmap
import os
import struct
import sys
import time
from pathlib import Path

from tests.services import ServiceProcess

from pms_cli.embedded.process import spawn
from pms_cli.run_service import run_service

VARIABLE = "DRILL_CLOCK"
OFF_BY_S = struct.Struct("=d")


class SteppedProcess(ServiceProcess):
    """A service whose wall clock can be stepped."""

    def start(self) -> None:
        """Start it, with an interpreter of its own: a forked one has imported the clock already."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
        command = (sys.executable, "-m", "tests.drills.clock", self.name)
        self._child = spawn(self.name, command, self._log, env={**clean, **self.settings})


def settings(folder: Path) -> dict[str, str]:
    """What the environment of services says, so that they follow the clock of this folder."""
    return {VARIABLE: str(folder / "clock")}


def step(folder: Path, seconds: float) -> None:
    """Have the clock be off by so much."""
    path = folder / "clock"
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(OFF_BY_S.pack(seconds))


def _follow(path: str) -> None:
    with Path(path).open("rb") as file:
        off_by_s = memoryview(mmap.mmap(file.fileno(), OFF_BY_S.size, access=mmap.ACCESS_READ)).cast("d")
    real_time, real_time_ns = time.time, time.time_ns
    time.time = lambda: real_time() + off_by_s[0]
    time.time_ns = lambda: real_time_ns() + int(off_by_s[0] * 1e9)


if __name__ == "__main__":
    _follow(os.environ.pop(VARIABLE))
    run_service(sys.argv[1])
