"""What the exchange says before this process leads: kept for the moment when it does.

A standby has its own user stream and clock. Their states wait here; the stream's last events, too, because queries lag
behind the engine: what the leader's journal and a first comparison may both have missed is heard again. Replaying is
harmless: reports are monotone, and fills are booked once.
"""

import time
from collections import deque
from collections.abc import Callable

from pms_orders.adapters.binance.user_socket import Batch
from pms_orders.app.readiness import Readiness, Report
from pms_orders.app.session import Session

KEPT_S = 10.0
MAX_BATCHES = 10_000
"""At 1,000 batches a second what is kept."""


class Standby:
    """Stands between the user stream, the clock and their hearers until `lead`."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._stream = (False, "starting")
        self._recent: deque[tuple[float, Batch]] = deque(maxlen=MAX_BATCHES)
        self._hear: Callable[[Batch], None] = self._keep
        self._session: Session | None = None

    def lead(self, session: Session, readiness: Readiness) -> None:
        """This process leads, and knows its predecessor's orders: hand over what waits."""
        self._session, self._hear = session, session.hear
        self._report = readiness.set
        since_s = time.monotonic() - KEPT_S
        for heard_s, batch in self._recent:
            if heard_s >= since_s:
                session.hear(batch)
        self._recent.clear()
        session.connected(*self._stream)

    def heard(self, batch: Batch) -> None:
        """Events that arrived together."""
        self._hear(batch)

    def _keep(self, batch: Batch) -> None:
        now_s = time.monotonic()
        self._recent.append((now_s, batch))
        while self._recent[0][0] < now_s - KEPT_S:
            self._recent.popleft()

    def connected(self, ok: bool, why: str) -> None:
        """The user stream is there, or not, and events may be missed."""
        self._stream = (ok, why)
        if self._session is not None:
            self._session.connected(ok, why)
        else:
            self._report("user_stream", ok, why)

    def clock(self, ok: bool, why: str) -> None:
        """The exchange's clock is known, or not."""
        self._report("clock", ok, why)
