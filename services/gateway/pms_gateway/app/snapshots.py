"""Fills the read model at the start and after a gap: asks each owner for a snapshot and waits for its end.

Owns which snapshots are awaited. The gateway is ready when it has seen all of them.
"""

import asyncio
import uuid
from collections.abc import Callable

from pms_common.bus import Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import SnapshotEnd, SnapshotRequest
from pms_common.names import Names

SOURCES = ("orders", "risk", "algos")
ASK_AGAIN_S = 10.0
"""A service that was down finds the first question waiting; one whose stream was lost is asked again."""

Report = Callable[[str, bool, str], None]


class Snapshots:
    """The snapshots that are awaited, by service."""

    def __init__(self, outbox: Outbox, names: Names, report: Report) -> None:
        self._outbox, self._names, self._report = outbox, names, report
        self._token = uuid.uuid4().hex
        self._awaited: set[str] = set()

    def ask(self, service: str) -> None:
        """Ask a service for all it has; once while an answer is awaited."""
        if service in self._awaited:
            return
        self._awaited.add(service)
        self._report(f"snapshot:{service}", False, f"waiting for the snapshot of {service}")
        self._send(service)

    def ended(self, service: str, end: SnapshotEnd) -> None:
        """A snapshot has ended; only one of our own counts."""
        if end.token == self._token and service in self._awaited:
            self._awaited.discard(service)
            self._report(f"snapshot:{service}", True, "")

    async def run(self) -> None:
        """Ask all, and again those who do not answer."""
        for service in SOURCES:
            self.ask(service)
        while True:
            await asyncio.sleep(ASK_AGAIN_S)
            for service in self._awaited:
                self._send(service)

    def _send(self, service: str) -> None:
        request = SnapshotRequest(asker="gateway", token=self._token)
        self._outbox.add(self._names.queries(service), encode(request))
