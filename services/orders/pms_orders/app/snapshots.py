"""Answers to questions on the queries stream: everything the order service knows that is still true.

Owns the order of a snapshot: begin, trading rules, live orders, the exchange account, readiness, end.
"""

from decimal import Decimal

from pms_common.bus import Entry, Outbox, UpdatesWriter
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, snapshot_request
from pms_common.contracts.bus.orders import OrderUpdate, Reference, SymbolSpec
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.readiness import Readiness
from pms_orders.domain.order import view
from pms_orders.domain.tracker import OrderTracker

CHUNK = 50
"""Symbols in one Reference entry: about 25 kB."""


class Snapshots:
    """Tells the whole to whoever asks."""

    def __init__(
        self,
        *,
        tracker: OrderTracker,
        specs: dict[str, SymbolSpec],
        fees: tuple[Decimal, Decimal],
        facts: ExchangeFacts,
        readiness: Readiness,
        updates: UpdatesWriter,
        outbox: Outbox,
    ) -> None:
        self._tracker = tracker
        self._specs = specs
        self._fees = fees
        self._facts = facts
        self._readiness = readiness
        self._updates = updates
        self._outbox = outbox

    def query(self, entry: Entry) -> None:
        """A question: answered on the updates stream."""
        asked = snapshot_request.decode(entry.data)
        publish = self._updates.publish
        publish(SnapshotBegin(epoch=0, n=0, asker=asked.asker, token=asked.token))
        self.tell_reference()
        for order in self._tracker.live():
            key = f"{order.client_order_id}:snapshot:{asked.token}"
            shown = view(order)
            publish(OrderUpdate(epoch=0, n=0, key=key, cause="snapshot", order=shown, event_ms=order.updated_ms))
        self._facts.tell_all("snapshot")
        self._readiness.tell()
        publish(SnapshotEnd(epoch=0, n=0, asker=asked.asker, token=asked.token))
        self._outbox.ack(entry)

    def tell_reference(self) -> None:
        """Publish the trading rules of all symbols and the account's fee rates."""
        specs = list(self._specs.values())
        maker, taker = self._fees
        for start in range(0, len(specs), CHUNK):
            chunk = specs[start : start + CHUNK]
            self._updates.publish(Reference(epoch=0, n=0, symbols=chunk, maker_fee=maker, taker_fee=taker))
