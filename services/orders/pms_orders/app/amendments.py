"""Amendments: which may be sent, and the entries that wait for their outcome.

Owns the checks of new terms (trading state, filters, the approval's caps, self-trades) and the newest unanswered entry
of each order. Never touches an order. Used by the order manager.
"""

from pms_common.bus import Entry
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_orders.app.publisher import Publisher
from pms_orders.domain.filters import check_order
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import Operation, OrderState, Terms
from pms_orders.domain.resting import RestingPrices


class Amendments:
    """Wanted amendments by order."""

    def __init__(
        self,
        gates: Gates,
        specs: dict[str, SymbolSpec],
        resting: RestingPrices,
        publisher: Publisher,
    ) -> None:
        self._gates = gates
        self._specs = specs
        self._resting = resting
        self._publisher = publisher
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        """Entries that wait."""
        return len(self._entries)

    def want(self, order: OrderState, entry: Entry) -> None:
        """This is the newest wish for the order; one that still waits is acknowledged."""
        if replaced := self._entries.pop(order.client_order_id, None):
            self._publisher.acknowledge(replaced)
        self._entries[order.client_order_id] = entry

    def settle(self, order: OrderState) -> None:
        """Acknowledge the newest amendment once it, and not an earlier one, has an outcome."""
        if order.client_order_id not in self._entries:
            return
        flying = order.flight is not None and order.flight.operation is Operation.AMEND
        if order.final or not (flying or order.wanted_amend is not None or order.status == "amending"):
            self._publisher.acknowledge(self._entries.pop(order.client_order_id))

    def check(self, order: OrderState, terms: Terms) -> None:
        """Raise `CommandError` where the terms may not be sent."""
        place = order.place
        if order.wanted_cancel or order.status == "cancelling":
            raise CommandError(ErrorCode.ORDER_ALREADY_FINAL, f"the order is {order.status} or being cancelled")
        if order.price is None:
            raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, "only limit orders can be amended")
        self._gates.check(place)
        spec = self._specs.get(place.symbol)
        check_order(spec, place.symbol, terms.price, terms.quantity, place.reduce_only_on_venue)
        cap = place.price_cap
        if cap is not None and (terms.price > cap if place.side == "BUY" else terms.price < cap):
            raise CommandError(ErrorCode.APPROVAL_EXCEEDED, f"the price is beyond the approved {cap}")
        if place.notional_cap is not None and terms.price * terms.quantity > place.notional_cap:
            raise CommandError(ErrorCode.APPROVAL_EXCEEDED, f"the notional is beyond the approved {place.notional_cap}")
        if place.time_in_force != "GTX" and self._resting.would_meet(place.symbol, place.side, terms.price):
            # The venue's modify drops self-trade prevention; an order that is cancelled and placed anew keeps it.
            raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, "an own order rests at that price: cancel and place")
