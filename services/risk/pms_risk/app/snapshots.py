"""Answers to those who ask risk for everything: all accounts and trading states.

Owns the questions under way: they are answered one after the other and in parts, so that trading goes on meanwhile.
Used by the bus (`risk:queries`) and spawned by `main`.
"""

import asyncio

from pms_common.bus import Entry, Outbox, UpdatesWriter
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, snapshot_request
from pms_common.contracts.bus.risk import TradingState
from pms_common.logging import get_logger
from pms_risk.app.caches import Caches
from pms_risk.app.state import RiskState

log = get_logger(__name__)

PART = 100
"""Accounts written without a pause: a few milliseconds."""
TOO_OLD_MS = 15_000
"""Who has waited so long has asked again, or is gone."""


class Snapshots:
    """Publishes begin, objects and end on risk's updates stream. Spawn `run`."""

    def __init__(self, state: RiskState, caches: Caches, outbox: Outbox, updates: UpdatesWriter) -> None:
        self._state = state
        self._caches = caches
        self._outbox = outbox
        self._updates = updates
        self._asked: asyncio.Queue[Entry] = asyncio.Queue()  # bounded by the consumer's max_unacked

    def on_request(self, entry: Entry) -> None:
        """One question."""
        snapshot_request.decode(entry.data)  # garbage is refused here
        self._asked.put_nowait(entry)

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            entry = await self._asked.get()
            if self._state.now_ms() - entry.ms <= TOO_OLD_MS:
                await self._answer(entry)
            else:
                log.info("question_too_old", entry=entry.id)
            self._outbox.ack(entry)

    async def _answer(self, entry: Entry) -> None:
        asked = snapshot_request.decode(entry.data)
        self._updates.add(SnapshotBegin, asker=asked.asker, token=asked.token)
        for number, account in enumerate(list(self._state.books.accounts.values()), 1):
            self._caches.write(account)
            if number % PART == 0:
                await self._outbox.flush()
        for (account_id, symbol), state in self._state.gates.states.items():
            self._updates.add(TradingState, state=state, account_id=account_id, symbol=symbol)
        self._updates.add(SnapshotEnd, asker=asked.asker, token=asked.token)
