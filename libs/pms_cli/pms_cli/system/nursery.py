"""Starting services without their imports: a nursery has imported what they share, and forks them.

Owns the nursery's process and its socket. On Linux
only: elsewhere a fork that is not followed by an exec is not safe, and each service has an interpreter of its own.
Used by the supervisor and by the tests of services.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pms_cli.embedded.process import HAS_DEATH_SIGNAL, Child, ServerError, launched, spawn
from pms_cli.system.forking import INTEGER


class Forked:
    """A forked service, with as much of `subprocess.Popen` as its owners use."""

    def __init__(self, pid: int, report: int, stdout: IO[bytes] | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._report = report

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        told = os.read(self._report, INTEGER.size)
        os.close(self._report)
        # Untold, the nursery itself has ended, and what it had forked was sent SIGTERM by the kernel.
        self.returncode = os.waitstatus_to_exitcode(INTEGER.unpack(told)[0]) if told else -signal.SIGTERM


class Nursery:
    """Starts services that die with us. The process that forks them begins its imports at once."""

    def __init__(self) -> None:
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if HAS_DEATH_SIGNAL:
            self._begin()

    def start(self, name: str, env: Mapping[str, str], log: Path | None = None, cwd: Path | None = None) -> Child:
        """Run a service with this environment, its output appended to `log` or, without one, in a pipe."""
        if not HAS_DEATH_SIGNAL:
            return spawn(name, [sys.executable, "-P", "-m", "pms_cli.run_service", name], log, env=env)
        if self._gone():
            self.close()
            self._begin()
        read, write = (None, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)) if log else os.pipe()
        try:
            pid, report = self._fork({"name": name, "env": dict(env), "cwd": str(cwd or Path.cwd())}, write)
        finally:
            os.close(write)
        return Child(name, Forked(pid, report, None if read is None else os.fdopen(read, "rb", 0)), log)

    def close(self) -> None:
        """End it; the kernel ends what still runs of what it forked."""
        if self._line is not None and self._process is not None:
            self._line.close()
            self._process.wait()

    def _gone(self) -> bool:
        """Whether the process that forks has ended: its end of the socket closes before what it forked is told."""
        assert self._line is not None
        look = select.poll()
        look.register(self._line, 0)
        return bool(look.poll(0))

    def _begin(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # No settings, and so no keys: each service is given its own.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
        command = launched([sys.executable, "-P", "-m", "pms_cli.system.forking"], "self", signal.SIGTERM)
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env=clean, start_new_session=True)

    def _fork(self, request: dict[str, object], output: int) -> tuple[int, int]:
        assert self._line is not None
        told, report = os.pipe()
        try:
            socket.send_fds(self._line, [json.dumps(request).encode()], [output, report])
        finally:
            os.close(report)
        answer = os.read(told, INTEGER.size)
        if not answer:
            os.close(told)
            raise ServerError(f"{request['name']} was not started: the process that forks has ended")
        return INTEGER.unpack(answer)[0], told
