"""Answers to questions on the queries stream: everything the order service knows that is still true.

Owns the order of a snapshot: begin, trading rules, live orders, the executions asked for, the exchange account,
readiness, end; cash flows and what others did since then are asked of the exchange and told beside it. One is told at a
time, in chunks between which others work. Where it cannot be told to its end, it has none, and the asker asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from pms_common.bus import Entry, Outbox, UpdatesWriter
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, SnapshotRequest, snapshot_request
from pms_common.contracts.bus.exchange import Brackets
from pms_common.contracts.bus.orders import Reference
from pms_common.db import DATABASE_ERRORS
from pms_common.logging import get_logger
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.publisher import Publisher
from pms_orders.app.readiness import Readiness
from pms_orders.app.retelling import Retelling
from pms_orders.app.rules import Rules
from pms_orders.app.session import NOT_NOW
from pms_orders.domain.tracker import OrderTracker

log = get_logger(__name__)

MAX_AGE_MS = 15_000
"""Who asked longer ago has asked again."""
ORDERS = 100
"""Orders told between two turns of the event loop."""
CHUNK = 50
"""Symbols in one Reference entry: about 25 kB."""


class Snapshots:
    """Tells the whole to whoever asks."""

    def __init__(
        self,
        *,
        tracker: OrderTracker,
        rules: Rules,
        facts: ExchangeFacts,
        readiness: Readiness,
        updates: UpdatesWriter,
        publisher: Publisher,
        outbox: Outbox,
        retelling: Retelling,
        told_in_vain: Callable[[int], None],
        compare: Callable[[Sequence[str], int], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        now_ms: Callable[[], int],
    ) -> None:
        """`told_in_vain` has what no journal holds told again, since a time."""
        self._tracker = tracker
        self._rules = rules
        self._facts = facts
        self._readiness = readiness
        self._updates = updates
        self._publisher = publisher
        self._outbox = outbox
        self._retelling = retelling
        self._told_in_vain = told_in_vain
        self._compare = compare
        self._spawn = spawn
        self._now_ms = now_ms
        self._one = asyncio.Lock()
        self._newest: dict[str, str] = {}

    def query(self, entry: Entry) -> None:
        """A question: answered on the updates stream."""
        asked = snapshot_request.decode(entry.data)
        self._newest[asked.asker] = asked.token
        self._spawn(self._answer(asked, entry), "snapshot")

    async def _answer(self, asked: SnapshotRequest, entry: Entry) -> None:
        async with self._one:
            if self._newest[asked.asker] == asked.token and self._now_ms() - entry.ms <= MAX_AGE_MS:
                try:
                    await self._tell(asked)
                except DATABASE_ERRORS as error:
                    log.warning("snapshot_not_told", asker=asked.asker, error=str(error))
            self._outbox.ack(entry)

    async def _tell(self, asked: SnapshotRequest) -> None:
        if asked.compare_since_ms is not None:
            try:
                await self._compare(asked.compare, asked.compare_since_ms)
            except NOT_NOW as error:  # who doubts asks again; who has missed something must not wait for that
                log.warning("not_compared", symbols=asked.compare, error=str(error))
        if asked.fills_since_ms is not None or asked.compare_since_ms is not None:
            await self._retelling.settle()
        self._updates.publish(SnapshotBegin(epoch=0, n=0, asker=asked.asker, token=asked.token))
        self.tell_reference()
        await self._tell_orders(asked.token)
        if asked.fills_since_ms is not None:
            await self._retelling.fills(asked.fills_since_ms)
            self._told_in_vain(asked.fills_since_ms)
        if asked.compare_since_ms is not None:
            await self._retelling.fills(asked.compare_since_ms, asked.compare)
            self._told_in_vain(asked.compare_since_ms)
        self._facts.tell_all("snapshot")
        self._readiness.tell()
        self._updates.publish(SnapshotEnd(epoch=0, n=0, asker=asked.asker, token=asked.token))

    async def _tell_orders(self, token: str) -> None:
        for number, order in enumerate(self._tracker.live(), start=1):
            if not order.final:  # its end was told meanwhile, or is told after its executions
                self._publisher.show(order, token)
            if number % ORDERS == 0:
                await self._retelling.pause()

    def tell_reference(self) -> None:
        """Publish trading rules and margin tiers of all symbols, and the account's fee rates."""
        rules, brackets = self._rules, self._rules.brackets
        specs, maker, taker = list(rules.specs.values()), rules.maker_fee, rules.taker_fee
        for start in range(0, len(specs), CHUNK):
            chunk = specs[start : start + CHUNK]
            self._updates.publish(Reference(epoch=0, n=0, symbols=chunk, maker_fee=maker, taker_fee=taker))
            tiers = {spec.symbol: brackets[spec.symbol] for spec in chunk if spec.symbol in brackets}
            self._updates.publish(Brackets(epoch=0, n=0, symbols=tiers))
