"""Whether new risk may be sent: lease held, reconciled, stream alive, exchange reached, clock known, journal in time.

Owns the parts and their telling: to the probes, to the other services (OrdersReady), and to the sender, which holds new
orders back while a part is missing. Cancels and closes pass as long as they can be sent at all.
"""

from collections.abc import Callable

from pms_common.bus import UpdatesWriter
from pms_common.contracts.bus.orders import OrdersReady

PARTS = ("lease", "reconciled", "user_stream", "trading", "clock", "journal_current", "exchange_settings")

Report = Callable[[str, bool, str], None]


class Readiness:
    """Gathers the parts; `on_change` hears whether all of them are there."""

    def __init__(self, updates: UpdatesWriter, report: Report) -> None:
        self._updates = updates
        self._report = report
        self._missing = dict.fromkeys(PARTS, "starting")
        self.on_change: Callable[[bool], None] | None = None
        for part in PARTS:
            report(part, False, "starting")

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not self._missing

    def set(self, part: str, ok: bool, why: str = "") -> None:
        """A part is there, or is missing and why."""
        if self._missing.get(part) == (None if ok else why):
            return
        before = self.ready
        if ok:
            self._missing.pop(part, None)
        else:
            self._missing[part] = why
        self._report(part, ok, why)
        if self.ready != before:
            self.tell()
            if self.on_change is not None:
                self.on_change(self.ready)

    def tell(self) -> None:
        """Publish the present state."""
        why = "; ".join(f"{part}: {text}" for part, text in self._missing.items())
        self._updates.publish(OrdersReady(epoch=0, n=0, ready=self.ready, why=why))
