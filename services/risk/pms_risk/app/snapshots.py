"""Answers to those who ask risk for everything: all accounts and trading states. Used by the bus (`risk:queries`)."""

from pms_common.bus import Entry, Outbox, UpdatesWriter
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, snapshot_request
from pms_common.contracts.bus.risk import TradingState
from pms_risk.app.caches import Caches
from pms_risk.app.state import RiskState


class Snapshots:
    """Publishes begin, objects and end on risk's updates stream."""

    def __init__(self, state: RiskState, caches: Caches, outbox: Outbox, updates: UpdatesWriter) -> None:
        self._state = state
        self._caches = caches
        self._outbox = outbox
        self._updates = updates

    def on_request(self, entry: Entry) -> None:
        """One question."""
        asked = snapshot_request.decode(entry.data)
        self._updates.add(SnapshotBegin, asker=asked.asker, token=asked.token)
        for account in self._state.books.accounts.values():
            self._caches.write(account)
        for (account_id, symbol), state in self._state.gates.states.items():
            self._updates.add(TradingState, state=state, account_id=account_id, symbol=symbol)
        self._updates.add(SnapshotEnd, asker=asked.asker, token=asked.token)
        self._outbox.ack(entry)
