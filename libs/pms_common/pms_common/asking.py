"""Asking other services for all they have, at the start and after a gap, until each has told it.

Owns which snapshots are awaited and that who does not answer is asked again. What a snapshot says is its reader's
business. Used by algos and the gateway; risk's question to orders names executions too and is its own.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence

from pms_common.bus import Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import SnapshotEnd, SnapshotRequest
from pms_common.names import Names

ASK_AGAIN_S = 10.0
"""A service that was down finds the first question waiting; one whose stream was lost is asked again."""

Report = Callable[[str, bool, str], None]


class Snapshots:
    """The snapshots that `asker` awaits of `services`; ready when all have come. `on_ended` hears of each."""

    def __init__(
        self,
        asker: str,
        services: Sequence[str],
        *,
        outbox: Outbox,
        names: Names,
        report: Report,
        on_ended: Callable[[str], None] | None = None,
    ) -> None:
        self._asker, self._services = asker, services
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
        if end.token != self._token or service not in self._awaited:
            return
        self._awaited.discard(service)
        self._report(f"snapshot:{service}", True, "")
        if self._on_ended is not None:
            self._on_ended(service)

    async def run(self) -> None:
        """Ask all, and again those who do not answer."""
        for service in self._services:
            self.ask(service)
        while True:
            await asyncio.sleep(ASK_AGAIN_S)
            for service in self._awaited:
                self._send(service)

    def _send(self, service: str) -> None:
        request = SnapshotRequest(asker=self._asker, token=self._token)
        self._outbox.add(self._names.queries(service), encode(request))
