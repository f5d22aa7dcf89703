"""The bus handlers of work from other services and from operators.

Owns the reading of `requests`, `urgent`, `changes` and the operators' trading state. Decides nothing about an order:
that is the manager's. A message that cannot be read is malformed and ends in the dead stream.
"""

from pms_common.bus import Entry, Malformed
from pms_common.contracts.bus.orders import AmendOrder, PlaceOrder, RaiseBarrier, order_work
from pms_common.contracts.commands.admin import SetTradingState
from pms_common.contracts.errors import CommandError, NotJson
from pms_common.contracts.parse import parse_command
from pms_common.logging import get_logger
from pms_orders.adapters.journal import Journal
from pms_orders.app.manager import OrderManager
from pms_orders.app.publisher import Publisher
from pms_orders.domain.gates import Gates

log = get_logger(__name__)


class Intake:
    """Handlers for the bus consumer."""

    def __init__(self, manager: OrderManager, gates: Gates, publisher: Publisher, journal: Journal) -> None:
        self._manager = manager
        self._gates = gates
        self._publisher = publisher
        self._journal = journal

    def work(self, entry: Entry) -> None:
        """An approved order, an amendment, a cancel or a barrier."""
        message = order_work.decode(entry.data)
        if type(message) is PlaceOrder:
            self._manager.place(message, entry.data, entry)
            return
        if type(message) is RaiseBarrier:
            self._gates.raise_barrier(message.account_id, message.symbol, children=True, at_ms=message.at_ms)
            self._publisher.acknowledge(entry)
            return
        order = self._manager.tracker.find(message.client_order_id)
        if order is None:
            self._manager.bury(message.client_order_id)
            self._publisher.acknowledge(entry)
        elif order.place.account_id != message.account_id:
            raise Malformed(f"order {message.client_order_id} belongs to another account")
        elif type(message) is AmendOrder:
            self._manager.amendments.amend(order, message, entry)
        else:
            if order.final:
                self._publisher.show(order, entry.id)  # who cancels it has not heard of its end
            self._manager.cancel(order, message.reason)
            self._publisher.acknowledge(entry)

    def trading_state(self, entry: Entry) -> None:
        """An operator's trading state, and with `cancel` the end of what rests there. Risk answers it."""
        try:
            command = parse_command("trading_state", entry.data or entry.fields, entry.id).command
        except (NotJson, CommandError) as error:  # risk, which reads the same stream, answers and buries it
            log.warning("trading_state_unreadable", error=str(error))
            self._publisher.acknowledge(entry)
            return
        if not isinstance(command, SetTradingState):
            raise Malformed("not a trading state")
        account_id, symbol = command.sub_account_id or "", command.symbol or ""
        self._gates.set(account_id, symbol, command.state)
        self._journal.gated(account_id, symbol, command.state)
        if command.cancel:
            self._cancel_within(account_id, symbol)
        self._manager.sender.wake()
        self._publisher.acknowledge(entry)

    def _cancel_within(self, account_id: str, symbol: str) -> None:
        for order in self._manager.tracker.live():
            mine = not account_id or order.place.account_id == account_id
            if mine and (not symbol or order.place.symbol == symbol):
                self._manager.cancel(order, "trading_state")
