"""Ends the children of a parent that died, for systems without a parent death signal (macOS).

`Watchdog` starts this file as a script of its own session and tells it pids through a pipe; when the pipe closes, the
parent is gone and what was told and not taken back is ended: first the signal named, five seconds later SIGKILL.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Watchdog:
    """The parent's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__))],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    def add(self, pid: int, number: signal.Signals) -> None:
        """End `pid` with this signal when the parent has died."""
        self._tell(f"+ {pid} {int(number)}\n")

    def remove(self, pid: int) -> None:
        """`pid` has ended."""
        self._tell(f"- {pid} 0\n")

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def close(self) -> None:
        """End the watchdog; what it still watches is ended too."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def _end(pids: dict[int, int], number: int | None) -> None:
    for pid, own in list(pids.items()):
        try:
            os.kill(pid, own if number is None else number)
        except ProcessLookupError:
            del pids[pid]


def main() -> None:
    """Read pids until the pipe closes, then end them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pids: dict[int, int] = {}
    for line in sys.stdin:
        sign, pid, number = line.split()
        if sign == "+":
            pids[int(pid)] = int(number)
        else:
            pids.pop(int(pid), None)
    deadline = time.monotonic() + 5
    _end(pids, None)
    while pids and time.monotonic() < deadline:
        time.sleep(0.05)
        _end(pids, 0)
    _end(pids, signal.SIGKILL)


if __name__ == "__main__":
    main()
