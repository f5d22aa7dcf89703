"""Services in processes of their own, for tests: started with only the settings they are given, killed and stopped.

They are forked from a process that has imported what services share, as `pms up` does it: tests start hundreds.
"""

import asyncio
import atexit
import functools
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from pms_cli.embedded.process import Child
from pms_cli.system.nursery import Nursery

PATIENCE_S = 60
"""A process may take long to start or to stop on a machine that does other things."""


@functools.cache
def nursery() -> Nursery:
    """The one of this test process; it dies with it."""
    return Nursery()


@functools.cache
def _logs() -> Path:
    """Where logs go that no test has a place for."""
    folder = Path(tempfile.mkdtemp(prefix="pms-logs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class ServiceProcess:
    """One service, started as often as the test wants. `settings` are all the `PMS_*` it sees."""

    def __init__(self, name: str, settings: Mapping[str, str], log: Path | None = None) -> None:
        self.name, self.settings = name, dict(settings)
        self._log = log or _logs() / f"{name}-{uuid.uuid4().hex}.log"
        self._child: Child | None = None

    def start(self) -> None:
        """Start it."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
        self._child = nursery().start(self.name, {**clean, **self.settings}, self._log, self._log.parent)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.alive()

    @property
    def log(self) -> str:
        """All it has written so far, over all its lives."""
        return self._log.read_text()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._child is not None
        self._child.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self._child is not None
        self._child.process.kill()
        self._child.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM; its exit code. One that was never started ends with 0."""
        if self._child is None:
            return 0
        self._child.process.terminate()
        return self.exit_code()

    def exit_code(self, within_s: float = PATIENCE_S) -> int:
        """Wait until it ends by itself."""
        assert self._child is not None
        return self._child.process.wait(within_s)

    async def end(self) -> int:
        """As `stop`, for tests whose loop the service needs to end in order."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """As `exit_code`, for tests that play the other services meanwhile."""
        async with asyncio.timeout(within_s):
            while self.running:  # noqa: ASYNC110 (a process tells nobody)
                await asyncio.sleep(0.01)
        return self.exit_code()
