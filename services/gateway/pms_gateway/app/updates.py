"""The three updates streams: public events to the log, results to those who wait, the rest to the read model.

Owns the order of one entry's effects: its event, if it is one, and its acknowledgement leave in one MULTI.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from pms_common.asking import Snapshots
from pms_common.bus import Entry, GapDetector, Outbox, peek
from pms_common.bus.ids import id_ms
from pms_common.contracts.bus.algos import AlgoState
from pms_common.contracts.bus.base import Update
from pms_common.contracts.bus.common import HistoryPage, PublicEvent, RequestDone, SnapshotBegin, SnapshotEnd
from pms_common.contracts.bus.risk import AccountState, TradingState
from pms_common.contracts.bus.streams import algos_updates, orders_updates, risk_updates
from pms_common.logging import get_logger
from pms_common.names import Names
from pms_gateway.app.event_log import EventLog
from pms_gateway.app.waiters import Waiters
from pms_gateway.domain.read_model import ReadModel

log = get_logger(__name__)

SOURCES: dict[str, Callable[[bytes], Update]] = {
    "orders": orders_updates.decode,
    "risk": risk_updates.decode,
    "algos": algos_updates.decode,
}
"""The services that are heard, with what reads their updates."""
_ORDER, _FACTS = b"order", b"exchange_account"
"""Tags of what comes with every fill, and is read only as far as it is of use here."""


class Updates:
    """Handlers of the updates streams."""

    def __init__(
        self, outbox: Outbox, event_log: EventLog, model: ReadModel, waiters: Waiters, snapshots: Snapshots
    ) -> None:
        self._outbox = outbox
        self._log, self._model, self._waiters, self._snapshots = event_log, model, waiters, snapshots
        self._heard_last: dict[str, str] = {}
        self._heard_n: dict[str, int] = {}
        self._apply: dict[type[Update], Callable[..., None]] = {
            PublicEvent: event_log.take,
            AccountState: model.account,
            AlgoState: model.algo,
            TradingState: model.trading_state,
            RequestDone: self._request_done,
            HistoryPage: self._history_page,
        }

    @property
    def last_ms(self) -> dict[str, int]:
        """When each service was last heard, by the clock of Redis."""
        return {service: id_ms(entry_id) for service, entry_id in self._heard_last.items()}

    def handlers(self, names: Names) -> dict[str, Callable[[Entry], None]]:
        """Stream → handler."""
        return {names.updates(service): self._handler(service) for service in SOURCES}

    def _handler(self, service: str) -> Callable[[Entry], None]:
        gaps = GapDetector(partial(self._on_gap, service))
        return partial(self._handle, service, SOURCES[service], gaps)

    def _handle(self, service: str, decode: Callable[[bytes], Update], gaps: GapDetector, entry: Entry) -> None:
        tag, epoch, n = peek(entry.data)
        if gaps.accept(epoch, n):
            if n != self._heard_n.get(service, 0) + 1:
                self._model.snapshot_broken(service)
            self._heard_n[service] = n
            self._heard_last[service] = entry.id
            if tag == _ORDER:
                self._model.order(entry.data)
            elif tag != _FACTS:
                self._take(service, decode(entry.data))
        self._outbox.ack(entry)

    def _take(self, service: str, update: Update) -> None:
        apply = self._apply.get(type(update))
        if apply is not None:
            apply(update)
        else:
            self._snapshot(service, update)

    def _snapshot(self, service: str, update: Update) -> None:
        """Whoever asked for it, it is the whole."""
        if isinstance(update, SnapshotBegin):
            self._model.snapshot_begins(service)
        elif isinstance(update, SnapshotEnd):
            self._model.snapshot_ends(service)
            self._snapshots.ended(service, update)

    def _request_done(self, done: RequestDone) -> None:
        self._waiters.done(done.request_id, done.account_id, done.command, bytes(msgspec.Raw(done.body)))

    def _history_page(self, page: HistoryPage) -> None:
        self._waiters.done(page.token, "", "", bytes(msgspec.Raw(page.body)))

    def _on_gap(self, service: str, epoch: int, first: int, last: int) -> None:
        log.warning("updates_gap", service=service, epoch=epoch, first=first, last=last)
        self._snapshots.ask(service)
