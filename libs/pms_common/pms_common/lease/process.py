"""Is the process that holds a lease still alive? Known on the same machine only, and only where /proc tells.

Spares a process that is started again after a crash the rest of its predecessor's lease. Never guesses: whatever is
not certain counts as alive.
"""

import os
import socket
from pathlib import Path

_ENDED = ("Z", "X")
"""States of a process that runs no more and waits for its parent to take note."""


def describe() -> str:
    """This process, for people and for `is_dead`: host, process id, and what makes it unique since the machine's boot.

    Process ids mean something within their namespace only, and are used again: the start time tells them apart.
    """
    pid = os.getpid()
    return f"{socket.gethostname()} {pid} {_world()} {_state(pid)[1]}"


def is_dead(described: str) -> bool:
    """Whether that process certainly runs no more."""
    parts = described.split(" ")
    if len(parts) != 4 or not parts[1].isdigit() or not parts[2] or parts[2] != _world():
        return False
    pid = int(parts[1])
    state, started = _state(pid)
    if not state:  # /proc may hide the processes of other users
        return not _exists(pid)
    return state in _ENDED or started != parts[3]


def _world() -> str:
    """This boot of the machine and the namespace of our process ids; empty where that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _state(pid: int) -> tuple[str, str]:
    """State and start time of a process; empty where /proc does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    # The name, in parentheses, may contain anything; state is the 3rd field, the start time the 22nd.
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
