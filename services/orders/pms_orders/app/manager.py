"""The order manager: the one place where orders change.

Owns the tracker and what happens around every transition: telling it, the self-trade index, the next request; what is
awaited is kept by `amendments`, `expectations` and `watchers`. Synchronous throughout: nothing here waits for Redis,
the database or the exchange.
Used by the bus handlers (place, amend, cancel), the user stream and the trading socket (reports, answers), the resolver
and the reconciliation (the same reports).
"""

from collections.abc import Callable, Iterable

from pms_common import metrics, tracing
from pms_common.bus import Entry
from pms_common.clock import monotonic_ms
from pms_common.contracts.bus.orders import PlaceOrder, SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.logging import get_logger
from pms_orders.adapters.journal import Journal
from pms_orders.app.amendments import Amendments
from pms_orders.app.expectations import Expectations
from pms_orders.app.publisher import Publisher
from pms_orders.app.sender import Sender
from pms_orders.app.told import Told
from pms_orders.app.watchers import Watchers
from pms_orders.domain.filters import check_order
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import Operation, OrderState, may_rest_at, register
from pms_orders.domain.reducer import (
    Action,
    Announce,
    Heal,
    Odd,
    Report,
    accepted,
    already_amended,
    apply_own,
    apply_report,
)
from pms_orders.domain.replacement import REPLACED
from pms_orders.domain.resolution import Cases, settled
from pms_orders.domain.resting import RestingPrices
from pms_orders.domain.table import Kind
from pms_orders.domain.tracker import OrderTracker

log = get_logger(__name__)

AMBIGUOUS_AFTER_MS = 5_000

_odd = metrics.counter("order_odd_transitions", "Happenings that contradicted what was known", ["kind", "state"])
_foreign = metrics.counter("order_foreign_reports", "Reports about orders that are not ours")


class OrderManager:
    """Orders, from request to end."""

    def __init__(
        self,
        *,
        tracker: OrderTracker,
        gates: Gates,
        specs: dict[str, SymbolSpec],
        publisher: Publisher,
        journal: Journal,
        now_ms: Callable[[], int],
        ages_ms: Callable[[], int] = monotonic_ms,
        hedge_mode: bool = False,
    ) -> None:
        self.tracker = tracker
        self.cases = Cases()
        self.sender: Sender
        self.explain: Callable[[Report], None] | None = None
        """Gives reports a reason that the exchange does not tell."""
        self._gates = gates
        self._specs = specs
        self._publisher = publisher
        self._journal = journal
        self.now_ms = now_ms
        self._ages_ms = ages_ms
        self._hedge_mode = hedge_mode
        self.resting = RestingPrices()
        self.told = Told(journal)
        self.watchers = Watchers()
        self.amendments = Amendments(self, gates, specs, publisher)
        self.expectations = Expectations()

    # -- requests

    def place(self, place: PlaceOrder, raw: bytes, entry: Entry) -> None:
        """Register an approved order and have it sent; what may have been sent before is asked for first."""
        known = self.tracker.find(place.client_order_id)
        if known is not None:
            self._publisher.show(known, entry.id)  # who asks again may not have heard what became of it
            known.answered = known.answered and not entry.suspect  # its answer may have been lost with a predecessor
            self._publisher.answer(known)
            self._publisher.acknowledge(entry)
            return
        self.begin(self.register(place, raw), entry)
        self._publisher.acknowledge(entry)

    def register(self, place: PlaceOrder, raw: bytes) -> OrderState:
        """A new order, known from here on and not sent yet."""
        order = register(place, self.now_ms())
        order.traceparent = place_context(place)
        self.tracker.add(order)
        self._journal.registered(order, raw)
        return order

    def begin(self, order: OrderState, entry: Entry) -> None:
        """Have a registered order sent, or asked for where a predecessor may have sent it."""
        place = order.place
        overtaken = self.tracker.buried(place.client_order_id, self.now_ms()) or self._gates.behind_barrier(place)
        if entry.suspect:
            if self.told.take_over(order):
                self._publisher.answer(order)
                self.restore(order)
            else:
                self.suspect(order)
            if overtaken:  # a predecessor may have sent it before the cancel came
                self.cancel(order, "requested")
        elif overtaken:
            self.withdraw(order, "cancelled before it was sent")
        else:
            self._admit(order)

    def _admit(self, order: OrderState) -> None:
        place = order.place
        try:
            self._gates.check(place)
            check_order(self._specs.get(place.symbol), place, self._hedge_mode, self.now_ms())
        except CommandError as refusal:
            self.bar(order, Operation.PLACE, refusal)
            return
        self.rest(order)
        self.sender.enter(order)

    def suspect(self, order: OrderState) -> None:
        """The order may have been sent by a predecessor: clear it up before anything else is done with it."""
        now_ms = self.now_ms()
        order.suspect = True
        order.sent_ms = now_ms
        self.follow(order, apply_own(order, Kind.LOST, now_ms))
        self.clear_up(order)

    def clear_up(self, order: OrderState, doubted: bool = False) -> None:
        """Have the resolver ask the exchange about the order; `doubted` where it looks clear and may not be."""
        self.cases.open(order, self._ages_ms(), doubted)

    def restore(self, order: OrderState) -> None:
        """Take over an order of the last writer, live or ended. What the writer did not see confirmed is suspect, and
        executions that are missing are fetched."""
        order.traceparent = place_context(order.place)
        self.tracker.add(order)
        if order.final:
            self.follow(order, [])
            if not order.whole:
                self.clear_up(order)
            return
        if order.status == "cancelling":
            order.wanted_cancel = "requested"
        if order.exchange_order_id is None:
            order.status = "placing"
            self.suspect(order)
            return
        order.answered = True
        self.sender.slots.hold(order)
        if order.status in ("cancelling", "amending"):
            order.status = "active"
        if not settled(order):
            self.clear_up(order)
        self.rest(order)
        self.sender.enter(order)

    def cancel(self, order: OrderState, reason: str) -> None:
        """Have an order cancelled. Once the journal has it, a successor cancels what this process did not."""
        if order.final:
            return
        if reason != REPLACED and self.amendments.give_up(order):  # it was being cancelled to be placed anew
            order.cancel_reason = reason
            order.wanted_cancel = order.wanted_cancel and reason
        if not order.sent_ms:
            self.withdraw(order, reason)
            return
        order.wanted_amend = None
        self.speak(order)
        if order.status != "cancelling":
            order.wanted_cancel = order.wanted_cancel or reason
        self.amendments.settle(order)
        self._journal.cancel_wanted(order)
        self.sender.enter(order)

    def bury(self, client_order_id: str) -> None:
        """A cancel has come before its order, which is not to be sent, by a successor neither."""
        self.tracker.bury(client_order_id, self.now_ms())
        self._publisher.keep_tombstone(client_order_id)

    # -- decisions on this side

    def bar(self, order: OrderState, operation: Operation, refusal: CommandError) -> None:
        """A request is refused here: it was not, and will not be, sent."""
        code, text, now_ms = refusal.code.name, refusal.message, self.now_ms()
        if operation is Operation.AMEND:
            order.wanted_amend = None
            announces = apply_own(order, Kind.AMEND_REFUSED, now_ms, error_code=code, error=text)
        else:
            order.error_code, order.error = code, text
            _record_unsent(order, code)
            announces = apply_own(order, Kind.BARRED, now_ms, error_code=code, error=text)
        self.follow(order, announces)

    def withdraw(self, order: OrderState, reason: str) -> None:
        """Cancel an order that was never sent."""
        _record_unsent(order, reason)
        self.follow(order, apply_own(order, Kind.WITHDRAWN, self.now_ms(), reason=reason))

    def conclude(self, order: OrderState, kind: Kind) -> None:
        """A conclusive query proved what no report says: not executed, not cancelled, or not amended."""
        code, text = ErrorCode.EXCHANGE_UNAVAILABLE, "The exchange does not know the request: it was not executed."
        if kind is Kind.ABSENT:
            if order.suspect:
                code = ErrorCode.EXPIRED_COMMAND
            elif order.error_code is not None:  # a refusal that was new to us, and is proven to have been one
                code, text = ErrorCode[order.error_code], order.error or text
            order.error_code, order.error = code.name, text
        order.flight = None
        if kind is Kind.AMENDED:
            self.follow(order, already_amended(order, self.now_ms()))
            return
        order.wanted_cancel = "" if kind is Kind.CANCEL_REFUSED else order.wanted_cancel
        self.follow(order, apply_own(order, kind, self.now_ms(), error_code=code.name, error=text))

    # -- what the exchange says

    def report(self, reports: Iterable[Report]) -> None:
        """Apply reports of the feed, of the trade list or of queries, in their order."""
        for report in reports:
            order = self.tracker.find_reported(report.symbol, report.exchange_order_id, report.client_order_id)
            if order is None:
                self._note_foreign(report)
                continue
            if self.explain is not None:
                self.explain(report)
            unnamed = order.exchange_order_id is None
            if report.fill is not None:
                self.expectations.came(report)
            actions = apply_report(order, report)
            if settled(order):  # else it has spoken of something else, or again of what was known
                self.expectations.heard(order)
            if unnamed:
                self.tracker.named(order)
            self.follow(order, actions)

    def hint(self, symbol: str, exchange_order_id: int, client_order_id: str, trade_id: int) -> None:
        """TRADE_LITE: a fill is on its way. Should it not come, it is fetched."""
        order = self.tracker.find_reported(symbol, exchange_order_id, client_order_id)
        if order is not None and trade_id not in order.trades:
            self.expectations.hint(order, exchange_order_id, trade_id, self._ages_ms())

    def acknowledged(self, order: OrderState, actions: list[Action]) -> None:
        """The exchange took the order: its request is answered, and the feed tells the rest within milliseconds.

        Telling it twice would cost every reader a message an order, so it is told here only where the feed is late or
        the order is to be changed before it has spoken.
        """
        self.follow(order, actions)
        self.expect(order)
        if order.status != "placing":
            return
        self._publisher.answer(order)
        self.expectations.accepted(order, self._ages_ms())
        if order.wanted_cancel or order.wanted_amend is not None:
            self.speak(order)

    def speak(self, order: OrderState) -> None:
        """Tell of an acknowledged order before it is changed, if the feed has not."""
        if self.expectations.told(order):
            self.follow(order, accepted(order, self.now_ms()))

    def expect(self, order: OrderState) -> None:
        """The exchange took a request of this order: its feed is to speak soon."""
        age_ms = self._ages_ms()
        self.cases.taken(order, age_ms)
        self.expectations.expect(order, age_ms)

    # -- after every transition

    def follow(self, order: OrderState, actions: list[Action]) -> None:
        """Tell what happened to an order and do what follows from it."""
        announces: list[Announce] = []
        for action in actions:
            if type(action) is Announce:
                if action.cause == "active" and not order.may_rest:
                    self._publisher.answer(order)  # its execution or its end follows at once, and tells more
                else:
                    announces.append(action)
            elif type(action) is Heal:
                self.clear_up(order)
            elif type(action) is Odd:
                self._note_odd(order, action)
        self.rest(order)
        if order.final:
            self.amendments.succeed(order)
        if announces:
            self._publisher.tell(order, announces)
            self.watchers.tell(order, announces)
            if announces[0].cause == "cancel_failed":
                self.amendments.give_up(order)
        self.amendments.settle(order)
        if order.final:
            self.sender.slots.release(order)
            if order.whole:
                self.tracker.retire(order)
        else:
            self.sender.enter(order)

    def rest(self, order: OrderState) -> None:
        """Bring the self-trade index in line with where the order may rest."""
        prices = may_rest_at(order)
        if prices == order.rests_at:
            return
        place = order.place
        for price in order.rests_at:
            self.resting.remove(place.symbol, place.side, price)
        for price in prices:
            self.resting.add(place.symbol, place.side, price)
        order.rests_at = prices

    def _note_odd(self, order: OrderState, odd: Odd) -> None:
        _odd.labels(odd.kind, odd.state).inc()
        log.warning(
            "order_odd",
            client_order_id=order.client_order_id,
            kind=odd.kind,
            state=odd.state,
            traceparent=order.traceparent,
        )
        if not order.final:
            self.tracker.revive(order)

    def _note_foreign(self, report: Report) -> None:
        _foreign.inc()
        log.info("foreign_order", client_order_id=report.client_order_id, symbol=report.symbol, kind=report.kind)

    # -- time

    def tick(self) -> None:
        """Look for orders about which somebody should have spoken by now. Called a few times a second."""
        now_ms, age_ms = self.now_ms(), self._ages_ms()
        for order in map(self.tracker.find, self.expectations.take_untold(age_ms)):
            if order is not None:
                self.follow(order, accepted(order, now_ms))
        for order in map(self.tracker.find, self.expectations.take_silent(age_ms)):
            if order is not None and not settled(order):
                self.clear_up(order)
        for missed in self.expectations.take_missed(age_ms):
            self.clear_up(missed, doubted=True)
        for case in self.cases:
            if case.order.status == "unknown" and now_ms > case.order.sent_ms + AMBIGUOUS_AFTER_MS:
                self._publisher.answer_ambiguous(case.order)
        self.amendments.expire(now_ms)
        if len(self.sender.lanes):
            self._expire_waiting(now_ms)

    def _expire_waiting(self, now_ms: int) -> None:
        """Refuse what could not be sent in time: the service is not ready, or a limit or a ban lasts longer."""
        for order in self.sender.lanes.unsent():
            expires_ms = order.place.expires_at_ms
            if expires_ms is not None and now_ms > expires_ms:
                self.bar(order, Operation.PLACE, CommandError(ErrorCode.EXPIRED_COMMAND))


def place_context(place: PlaceOrder) -> str:
    """The trace context of an order's placement, by which it is told of; the same after a restart."""
    return tracing.step(place.traceparent, place.client_order_id)


def _record_unsent(order: OrderState, why: str) -> None:
    if order.place.traceparent:
        about = {"client_order_id": order.client_order_id, "account_id": order.place.account_id}
        context, before = place_context(order.place), order.place.traceparent
        tracing.record("order not sent", context, before, order.created_ms, error=why, **about)
