"""Child processes that die with us, and what a dead predecessor has left behind.

Owns how a child is started, asked and stopped. Used by the two servers and by the supervisor.
"""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from pms_cli.embedded.watchdog import Watchdog

LAUNCH = Path(__file__).with_name("launch.py")
HAS_DEATH_SIGNAL = sys.platform == "linux"


class ServerError(Exception):
    """A server did not start or stop; the text says which, and the end of its log."""


@functools.cache
def watchdog() -> Watchdog:
    """The watchdog of this process."""
    return Watchdog()


class Process(Protocol):
    """What a child's owners use of `subprocess.Popen`."""

    pid: int
    returncode: int | None
    stdout: IO[bytes] | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Child:
    """A running child. `url` is where it answers, `unix_url` its socket, where it has one."""

    name: str
    process: Process
    log: Path | None
    stop_signal: signal.Signals = signal.SIGTERM
    port: int = 0
    url: str = ""
    unix_url: str = ""

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def stop(self, within_s: float = 10.0) -> None:
        """Ask it to stop, and kill it if it has not within `within_s`."""
        if self.alive():
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if not HAS_DEATH_SIGNAL:
            watchdog().remove(self.pid)

    def wait_until(self, answers: Callable[[], bool], within_s: float = 20.0) -> None:
        """Return when it answers. Raises `ServerError`, with the end of its log, if it ends before or does not."""
        deadline = time.monotonic() + within_s
        while not answers():
            if not self.alive() or time.monotonic() > deadline:
                what = "ended" if not self.alive() else f"did not answer within {within_s:g} s"
                self.stop()
                raise ServerError(f"{self.name} {what}:\n{tail(self.log)}")
            time.sleep(0.01)


def spawn(
    name: str,
    command: Sequence[str | Path],
    log: Path | None,
    who: str = "self",
    stop_signal: signal.Signals = signal.SIGTERM,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Start `command` tied to this process's life, its output appended to `log` or, without one, in a pipe.

    Only from the main thread: the kernel takes the end of the starting thread for the end of the parent.
    `who`: see `launch.py`.
    """
    with log.open("ab") if log else contextlib.nullcontext(subprocess.PIPE) as output:
        process = subprocess.Popen(
            launched(command, who, stop_signal),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,  # a Ctrl-C at the terminal goes to us alone: we stop them in order
        )
    if not HAS_DEATH_SIGNAL:
        watchdog().add(process.pid, stop_signal)
    return Child(name, process, log, stop_signal)


def launched(command: Sequence[str | Path], who: str, death_signal: signal.Signals) -> list[str]:
    """`command` wrapped so that it gets `death_signal` when this process dies."""
    prefix = [sys.executable, "-I", "-S", str(LAUNCH), who, str(int(death_signal)), str(os.getpid())]
    return [*prefix, *(str(part) for part in command)]


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def answers_on(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def tail(log: Path | None, characters: int = 1500) -> str:
    """The end of a log file."""
    return log.read_text(encoding="utf-8", errors="replace")[-characters:] if log and log.exists() else ""


def running(pid: int) -> bool:
    """Whether a process runs. A zombie does not: it only waits to be reaped."""
    return command_of(pid) != ""


def command_of(pid: int) -> str:
    """The command line of a running process; empty when there is none (or only a zombie)."""
    if sys.platform == "linux":  # a slim container has no ps
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][:1]
            command = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if state == "Z" else command.replace("\0", " ").strip() or "?"
    found = subprocess.run(
        ["ps", "-o", "state=", "-o", "args=", "-ww", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, command = found.stdout.strip().partition(" ")
    return "" if not state or state.startswith("Z") else command.strip()


def end_orphan(pid_file: Path, mark: str, within_s: float = 10.0) -> None:
    """Wait for the server of a dead predecessor to end, end it if it does not, and remove its pid file.

    Only called by the holder of the state directory's lock. `mark` must be part of the process's command line: a
    number in a stale file may be another's by now.
    """
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(pid_file.read_text(encoding="ascii").split()[0])
        deadline = time.monotonic() + within_s
        while mark in command_of(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += within_s
            elif time.monotonic() > deadline - within_s / 2:
                os.kill(pid, signal.SIGINT)
            time.sleep(0.05)
    pid_file.unlink(missing_ok=True)
