"""The state directory: where the embedded servers keep their data, held by one process at a time.

The lock is the kernel's (`flock`): it ends with its holder, so a lock left behind by a dead one does not exist.
"""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

MAX_SOCKET_PATH = 100
"""Bytes; the kernels allow 104 (macOS) and 108 (Linux)."""


class StateInUseError(Exception):
    """Another process holds this state directory."""


class StateDirectory:
    """A locked directory, as a context manager or until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock: IO[str] = (self.path / "lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "another process"
            self._lock.close()
            raise StateInUseError(f"{self.path} is in use by pid {holder}") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def release(self) -> None:
        """Let another process have it."""
        self._lock.truncate(0)
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def socket_path(directory: Path, name: str) -> Path:
    """Where a Unix socket for `directory` lies: in it, or, if that is too long for the kernel, in the temporary one."""
    path = directory / name
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"pms-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise PermissionError(f"{short} belongs to another user")
    return short / name
