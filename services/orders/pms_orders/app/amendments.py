"""Amendments: changed in place where the venue can, by cancel-and-place where it cannot and the request says so.

Owns the checks of new terms (trading state, filters, the approval's caps, self-trades), the newest wish of each order,
whose entry waits for its outcome, and the order that follows a replaced one. Part of the order manager.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pms_common.bus import Entry
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import AmendOrder, SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_orders.app.publisher import Publisher
from pms_orders.domain.filters import check_terms
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import Operation, OrderState, Terms, too_late
from pms_orders.domain.reducer import AMENDED_BELOW_EXECUTED
from pms_orders.domain.replacement import NOT_AMENDABLE, REPLACED, successor

if TYPE_CHECKING:
    from pms_orders.app.manager import OrderManager

AMEND_WITHIN_MS = 10_000
"""How old an amendment may be when it is read, after an outage for example, and when it is sent, after a wait for a
limit: the life of what opens risk."""


@dataclass(slots=True)
class Wish:
    """An amendment without an outcome; `replacing` once its order is cancelled to be placed anew."""

    amend: AmendOrder
    entry: Entry
    replacing: bool = False


class Amendments:
    """The newest wish of each order. Its entry is what a successor of this process has of it."""

    def __init__(self, manager: OrderManager, gates: Gates, specs: dict[str, SymbolSpec], publisher: Publisher) -> None:
        self._manager = manager
        self._gates = gates
        self._specs = specs
        self._publisher = publisher
        self._wishes: dict[str, Wish] = {}

    def __len__(self) -> int:
        """Wishes without an outcome."""
        return len(self._wishes)

    def amend(self, order: OrderState, amend: AmendOrder, entry: Entry) -> None:
        """Have an order's price and quantity changed; the newest target replaces one that still waits."""
        if order.final:
            self._recall(order, amend, entry)
            self._publisher.acknowledge(entry)  # its end was told, and nothing more will be
            return
        order.traceparent = amend.traceparent or order.traceparent
        if self._waits(order, amend, entry):
            return
        try:
            self._check(order, amend, entry.ms)
        except CommandError as refusal:
            self._manager.bar(order, Operation.AMEND, refusal)
            return
        if amend.quantity <= order.executed:  # the venue would cancel it, too
            self._manager.cancel(order, AMENDED_BELOW_EXECUTED)
        elif self._would_meet_own(order, amend):
            order.wanted_amend = None
            if not self._replace(order):
                text = "an own order rests at that price: cancel and place"
                self._manager.bar(order, Operation.AMEND, CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, text))
        else:
            order.wanted_amend = Terms(amend.price, amend.quantity)
            order.amend_until_ms = entry.ms + AMEND_WITHIN_MS
            self._manager.speak(order)
            self._manager.rest(order)
            self._manager.sender.enter(order)

    def _waits(self, order: OrderState, amend: AmendOrder, entry: Entry) -> bool:
        """Make this the newest wish; whether it only has to wait for the end of an order that is being replaced."""
        earlier = self._wishes.get(order.client_order_id)
        if earlier is not None:
            self._publisher.acknowledge(earlier.entry)
        waits = earlier is not None and earlier.replacing and bool(amend.replace_as)
        self._wishes[order.client_order_id] = Wish(amend, entry, waits)
        return waits

    def settle(self, order: OrderState) -> None:
        """Acknowledge the newest wish once it, and not an earlier one, has an outcome."""
        wish = self._wishes.get(order.client_order_id)
        if wish is None:
            return
        flying = order.flight is not None and order.flight.operation is Operation.AMEND
        open_ = wish.replacing or flying or order.wanted_amend is not None or order.status == "amending"
        if order.final or not open_:
            del self._wishes[order.client_order_id]
            self._publisher.acknowledge(wish.entry)

    def expire(self, now_ms: int) -> None:
        """Refuse what could not be sent in time."""
        for name in list(self._wishes):
            order = self._manager.tracker.find(name)
            if order is not None and order.wanted_amend is not None and too_late(order, now_ms):
                self._manager.bar(order, Operation.AMEND, CommandError(ErrorCode.EXPIRED_COMMAND))

    # -- replacing

    def replace_refused(self, order: OrderState, exchange_code: int) -> bool:
        """Replace an order of which the exchange has refused the amendment; False where that is told as it is."""
        return exchange_code in NOT_AMENDABLE and self._replace(order)

    def _replace(self, order: OrderState) -> bool:
        """Cancel the order and place what is left anew, if its newest wish says so."""
        wish = self._wishes.get(order.client_order_id)
        if wish is None or not wish.amend.replace_as or order.final or order.wanted_amend is not None:
            return False
        wish.replacing = True
        self._manager.cancel(order, REPLACED)
        return True

    def give_up(self, order: OrderState) -> bool:
        """The order is not to be replaced: it is cancelled for good, or cannot be; whether it was to be."""
        wish = self._wishes.get(order.client_order_id)
        if wish is None or not wish.replacing:
            return False
        wish.replacing = False
        return True

    def succeed(self, order: OrderState) -> None:
        """Place what an order that has ended has left. It is shown first, so that its margin stays reserved."""
        if not self.give_up(order):
            return
        wish = self._wishes[order.client_order_id]
        place = successor(order, wish.amend, wish.entry.ms)
        if place is not None and self._manager.tracker.find(place.client_order_id) is None:
            new = self._manager.register(place, encode(place))
            self._publisher.show(new, wish.entry.id)
            self._manager.begin(new, wish.entry)

    def _recall(self, order: OrderState, amend: AmendOrder, entry: Entry) -> None:
        """A predecessor may have placed what follows this order, and not have lived to write it down: ask for it."""
        if amend.replace_as and entry.suspect and self._manager.tracker.find(amend.replace_as) is None:
            place = successor(order, amend, entry.ms)
            if place is not None:
                self._manager.begin(self._manager.register(place, encode(place)), entry)

    # -- checks

    def _check(self, order: OrderState, amend: AmendOrder, asked_ms: int) -> None:
        """Raise `CommandError` where the terms may not be had at all, or not any more: the market has moved on."""
        place = order.place
        if self._manager.now_ms() - asked_ms > AMEND_WITHIN_MS:
            raise CommandError(ErrorCode.EXPIRED_COMMAND)
        if order.wanted_cancel or order.status == "cancelling" or order.end is not None:
            raise CommandError(ErrorCode.ORDER_ALREADY_FINAL, f"the order is {order.status} or being cancelled")
        if order.price is None:
            raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, "only limit orders can be amended")
        self._gates.check(place)
        check_terms(self._specs.get(place.symbol), place, amend.price, amend.quantity)
        cap = place.price_cap
        if cap is not None and (amend.price > cap if place.side == "BUY" else amend.price < cap):
            raise CommandError(ErrorCode.APPROVAL_EXCEEDED, f"the price is beyond the approved {cap}")
        if place.notional_cap is not None and amend.price * amend.quantity > place.notional_cap:
            raise CommandError(ErrorCode.APPROVAL_EXCEEDED, f"the notional is beyond the approved {place.notional_cap}")

    def _would_meet_own(self, order: OrderState, amend: AmendOrder) -> bool:
        """Whether the order could trade with another of ours: the venue's modify drops self-trade prevention, which an
        order that is cancelled and placed anew keeps. A post-only order never takes.
        """
        place = order.place
        return place.time_in_force != "GTX" and self._manager.resting.would_meet(place.symbol, place.side, amend.price)
