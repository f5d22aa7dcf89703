"""What the other services tell: children's states, refusals, accounts, gates, symbol rules, and questions to us.

Owns the handlers of these streams. An update that leads to a save is acknowledged after the commit.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

from pms_algos.app.children import Children
from pms_algos.app.controls import Controls
from pms_algos.app.engine import Engine
from pms_algos.domain.actions import Gate
from pms_common.asking import Snapshots
from pms_common.bus import Entry, GapDetector, Outbox, UpdatesWriter, peek
from pms_common.contracts.bus.algos import algos_work
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, snapshot_request
from pms_common.contracts.bus.orders import OrderUpdate, Reference
from pms_common.contracts.bus.risk import AccountState, ChildRefused, TradingState
from pms_common.contracts.bus.streams import orders_updates, risk_updates
from pms_common.contracts.commands.admin import SetTradingState
from pms_common.contracts.errors import CommandError, NotJson
from pms_common.contracts.parse import parse_command
from pms_common.names import Names

_ORDER, _PARENT = b"order", b'"parent_id":'
_OF_NO_USE = frozenset({b"exchange_account", b"done", b"event"})


class Updates:
    """Handlers of the streams that are not public commands."""

    def __init__(
        self,
        engine: Engine,
        children: Children,
        controls: Controls,
        outbox: Outbox,
        updates: UpdatesWriter,
        snapshots: Snapshots,
        on_account: Callable[[], None],
    ) -> None:
        self._engine, self._children, self._controls = engine, children, controls
        self._outbox, self._on_account = outbox, on_account
        self._updates, self._snapshots = updates, snapshots
        self._named: set[str] | None = None
        """Orders named since a snapshot of theirs began; None where none is going on, or a part of it was missed."""
        self._named_n = 0
        self._gaps = {
            service: GapDetector(lambda _epoch, _first, _last, service=service: snapshots.ask(service))  # type: ignore[misc]
            for service in ("orders", "risk")
        }

    def handlers(self, names: Names) -> dict[str, Callable[[Entry], None]]:
        """Stream → handler."""
        return {
            names.updates("orders"): self._on_orders,
            names.updates("risk"): self._on_risk,
            names.queries("algos"): self._on_query,
            names.requests("algos"): self._on_request,
            names.op("trading_state"): self._on_trading_state,
        }

    def _on_orders(self, entry: Entry) -> None:
        tag, epoch, n = peek(entry.data)
        if not self._gaps["orders"].accept(epoch, n):
            self._outbox.ack(entry)
            return
        if n != self._named_n + 1:
            self._named = None
        self._named_n = n
        if tag in _OF_NO_USE or (tag == _ORDER and self._named is None and _PARENT not in entry.data):
            self._outbox.ack(entry)  # most orders are nobody's children: not decoding them is most of the cost
            return
        update = orders_updates.decode(entry.data)
        if isinstance(update, OrderUpdate):
            if self._named is not None:
                self._named.add(update.order.client_order_id)
            self._children.told(update, entry)
            return
        if isinstance(update, Reference):
            self._engine.markets.specs.update((spec.symbol, spec) for spec in update.symbols)
        elif isinstance(update, SnapshotBegin):
            self._named = set()
        elif isinstance(update, SnapshotEnd):
            self._snapshot_ended(update)
        self._outbox.ack(entry)

    def _snapshot_ended(self, end: SnapshotEnd) -> None:
        """Whoever asked for it, it was the whole."""
        if self._named is not None:
            self._children.snapshot_ended(self._named)
            self._named = None
        self._snapshots.ended("orders", end)

    def _on_risk(self, entry: Entry) -> None:
        tag, epoch, n = peek(entry.data)
        if not self._gaps["risk"].accept(epoch, n) or tag in _OF_NO_USE:
            self._outbox.ack(entry)
            return
        update = risk_updates.decode(entry.data)
        if isinstance(update, ChildRefused):
            self._children.refused(update, entry)
            return
        if isinstance(update, AccountState):
            self._controls.account(update)
            self._on_account()
        elif isinstance(update, TradingState):
            self._engine.markets.set_gate(update.account_id, update.symbol, cast("Gate", update.state))
        elif isinstance(update, SnapshotEnd):
            self._snapshots.ended("risk", update)
        self._outbox.ack(entry)

    def _on_request(self, entry: Entry) -> None:
        self._controls.control(algos_work.decode(entry.data), lambda: self._outbox.ack(entry))

    def _on_query(self, entry: Entry) -> None:
        request = snapshot_request.decode(entry.data)
        self._updates.add(SnapshotBegin, asker=request.asker, token=request.token)
        self._engine.tell_all()
        self._updates.add(SnapshotEnd, asker=request.asker, token=request.token)
        self._outbox.ack(entry)

    def _on_trading_state(self, entry: Entry) -> None:
        """A halt works with any service down; risk is the one that answers the operator, bad input included."""
        acknowledge = partial(self._outbox.ack, entry)
        try:
            command = cast(
                "SetTradingState", parse_command("trading_state", entry.data or entry.fields, entry.id).command
            )
        except (CommandError, NotJson):
            acknowledge()
            return
        account_id, symbol = command.sub_account_id or "", command.symbol or ""
        self._controls.trading_state(account_id, symbol, command.state, command.cancel, acknowledge)
