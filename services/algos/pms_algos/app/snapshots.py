"""What the service must have heard before it acts: the snapshots of orders and risk.

Owns which are awaited. `on_ended` is told when one of our own has ended; those before it in the stream are applied.
"""

import asyncio
import uuid
from collections.abc import Callable

from pms_common.bus import Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import SnapshotEnd, SnapshotRequest
from pms_common.names import Names

ASK_AGAIN_S = 10.0

Report = Callable[[str, bool, str], None]


class Snapshots:
    """Snapshots by service."""

    def __init__(self, outbox: Outbox, names: Names, report: Report, on_ended: Callable[[str], None]) -> None:
        self._outbox, self._names, self._report, self._on_ended = outbox, names, report, on_ended
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
            self._on_ended(service)

    async def run(self) -> None:
        """Ask both, and again those who do not answer."""
        for service in ("orders", "risk"):
            self.ask(service)
        while True:
            await asyncio.sleep(ASK_AGAIN_S)
            for service in self._awaited:
                self._send(service)

    def _send(self, service: str) -> None:
        request = SnapshotRequest(asker="algos", token=self._token)
        self._outbox.add(self._names.queries(service), encode(request))
