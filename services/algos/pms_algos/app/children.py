"""What orders and risk say of children: handed to the algo whose they are.

Owns what becomes of orders that no algo runs: they must not live. Never decides for a plan.
"""

from collections import OrderedDict
from collections.abc import Callable, Container
from functools import partial

from pms_algos.app.engine import Engine
from pms_algos.app.outputs import TAGS, Outputs
from pms_algos.domain.chase_child import ASK_AGAIN_MS
from pms_algos.domain.events import Missing, Refused, Told
from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderUpdate, OrderView
from pms_common.contracts.bus.risk import ChildRefused
from pms_common.logging import get_logger
from pms_common.metrics import counter

log = get_logger(__name__)

MAX_ORPHANS = 10_000
"""Live orders without a running algo whose last cancel is remembered, so that not every update cancels again."""

_orphans = counter("algo_orphans", "Cancels of live orders that no running algo owns", ["kind"])


class Children:
    """The orders of all algos, as others speak of them."""

    def __init__(self, engine: Engine, outputs: Outputs, outbox: Outbox, now_ms: Callable[[], int]) -> None:
        self._engine, self._outputs, self._outbox, self._now_ms = engine, outputs, outbox, now_ms
        self._orphans: OrderedDict[str, int] = OrderedDict()

    def told(self, update: OrderUpdate, entry: Entry) -> None:
        """An update of an order, perhaps a child of ours. One of an algo that nobody runs must not live."""
        known = self._engine.algos.child(update.order.client_order_id)
        if known is None:
            if update.order.origin in TAGS:
                self._orphan(update.order)
            self._outbox.ack(entry)
            return
        running, child = known
        cause = f"{update.key}:{update.order.version}" if update.cause == "snapshot" else update.key
        acknowledge = partial(self._outbox.ack, entry)
        self._engine.step(running, Told(*child, update), cause, acknowledge, update.order.client_order_id)

    def refused(self, refused: ChildRefused, entry: Entry) -> None:
        """Risk refused a child or an amend."""
        known = self._engine.algos.child(refused.client_order_id)
        if known is None:
            self._outbox.ack(entry)
            return
        running, child = known
        event = Refused(*child, refused.amend, refused.error_code, refused.error)
        cause, acknowledge = f"{refused.client_order_id}:refused", partial(self._outbox.ack, entry)
        self._engine.step(running, event, cause, acknowledge, refused.client_order_id)

    def snapshot_ended(self, named: Container[str]) -> None:
        """Orders has named all orders that live: what became of children that are missing is asked."""
        cause = f"missing-{self._now_ms()}"
        for running in self._engine.algos:
            for chase in tuple(running.kind.chases(running.algo)):
                name = self._engine.algos.name(running, chase.plan, chase.child.number, chase.child.attempt)
                if name not in named:
                    self._engine.step(running, Missing(chase.plan.algo_id), cause)

    def _orphan(self, order: OrderView) -> None:
        if order.parent_id in self._engine.unreadable:
            return  # its algo may run again under a version that can read it
        if order.state in FINAL_STATES:
            self._orphans.pop(order.client_order_id, None)
            return
        now = self._now_ms()
        if 0 <= now - self._orphans.get(order.client_order_id, 0) < ASK_AGAIN_MS:
            return
        self._orphans[order.client_order_id] = now
        if len(self._orphans) > MAX_ORPHANS:
            self._orphans.popitem(last=False)
        _orphans.labels(order.origin.lower()).inc()
        log.warning(
            "orphan_cancelled",
            client_order_id=order.client_order_id,
            parent_id=order.parent_id,
            traceparent=order.traceparent,
        )
        self._outputs.cancel_orphan(order)
