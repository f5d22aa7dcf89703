"""What the exchange's answers to our requests mean for the order.

Owns the reaction to each class of answer (`domain.errors`). A request goes out again only where the answer proves that
it was not executed; where nothing is proven the order is cleared up first. Used by the transport.
"""

from collections.abc import Callable

from pms_common import metrics, tracing
from pms_common.clock import monotonic_ms
from pms_common.contracts.exchange_codes import MEANINGS, Outcome, from_exchange
from pms_common.logging import get_logger
from pms_orders.adapters.binance.transport import Sent
from pms_orders.adapters.journal import Journal
from pms_orders.app.manager import OrderManager, place_context
from pms_orders.domain.errors import VenueError, judge
from pms_orders.domain.order import Operation, OrderState
from pms_orders.domain.rate import Budget
from pms_orders.domain.reducer import acknowledge, already_amended, apply_own, lose
from pms_orders.domain.table import Kind

log = get_logger(__name__)

MAX_TRIES = 3
RETRY_S = 0.5
"""The venue's advice after a certain failure: back off, 3 to 5 tries."""
MAX_DOUBLINGS = 3
"""Of the pause between two cancels: the venue may be away for hours, and is asked every 4 s then."""
_PASSING = frozenset({Outcome.AGAIN, Outcome.RATE, Outcome.CLOCK})

_round_trip = metrics.histogram(
    "exchange_answer_seconds", "From sending a request to its answer, at most one a millisecond", ["operation"]
)
_trips = {operation: _round_trip.labels(operation.name.lower()) for operation in Operation}


class Outcomes:
    """Takes answers and losses."""

    def __init__(
        self,
        manager: OrderManager,
        budget: Budget,
        measure_clock: Callable[[], None],
        now_ms: Callable[[], int],
        journal: Journal,
        venue_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`venue_ms` is the venue's time, by which it says how long a ban lasts; None where it is not known."""
        self._manager = manager
        self._journal = journal
        self._budget = budget
        self._measure_clock = measure_clock
        self._now_ms = now_ms
        self._venue_ms = venue_ms
        self._unclear_ms: int | None = None
        self._measured_ms = 0

    def quiet_for(self, seconds: float) -> bool:
        """Whether for so long no request was left without an outcome, which may still have been executed later."""
        return self._unclear_ms is None or monotonic_ms() - self._unclear_ms >= seconds * 1000

    def answered(self, sent: Sent, exchange_order_id: int, error: VenueError | None) -> None:
        """An answer to a request, possibly late."""
        order = sent.order
        self._measure(sent)
        if order.traceparent:
            _record(sent, "" if error is None else _text(error))
        outcome = None if error is None else self._note(error)
        self._journal.answered(order, sent.operation, sent.flight.sent_ms, exchange_order_id, outcome, error)
        if sent.operation is Operation.PLACE:
            self._placed(sent, exchange_order_id, error, outcome)
        elif order.flight is not sent.flight:
            return  # the feed, or a query, has settled it before
        elif sent.operation is Operation.CANCEL:
            self._cancelled(order, error, outcome)
        else:
            self._amended(order, error, outcome)

    def _measure(self, sent: Sent) -> None:
        now_ms = self._now_ms()
        if now_ms != self._measured_ms:
            self._measured_ms = now_ms
            _trips[sent.operation].observe(max(0, now_ms - sent.flight.sent_ms) / 1000)

    def lost(self, sent: Sent) -> None:
        """Nobody will answer: a cancel may go again, all else is cleared up first."""
        order = sent.order
        self._unclear_ms = monotonic_ms()
        self._journal.unanswered(order, sent.operation, sent.flight.sent_ms)
        if order.traceparent:
            _record(sent, "nobody answered")
        if order.flight is sent.flight:
            self._lose(order)

    def _note(self, error: VenueError) -> Outcome:
        outcome = judge(error)
        if outcome is Outcome.RATE:
            self._budget.refused(error, monotonic_ms(), self._venue_ms())
        elif outcome is Outcome.CLOCK:
            self._measure_clock()
        elif outcome is Outcome.UNKNOWN:
            self._unclear_ms = monotonic_ms()
        elif outcome is Outcome.FATAL:
            log.error("exchange_refuses_us", code=error.code, message=error.message)
        return outcome

    def _placed(self, sent: Sent, exchange_order_id: int, error: VenueError | None, outcome: Outcome | None) -> None:
        order, now_ms = sent.order, self._now_ms()
        if error is None:
            unnamed = order.exchange_order_id is None
            order.tries = 0
            actions = acknowledge(order, exchange_order_id, now_ms)
            if unnamed:
                self._manager.tracker.named(order)
            self._manager.acknowledged(order, actions)
            return
        current = order.flight is sent.flight
        if outcome is Outcome.UNKNOWN or outcome is Outcome.NO_OP:
            if current:
                if error.code and error.code not in MEANINGS:
                    order.error_code, order.error = from_exchange(error.code).name, _text(error)
                self._lose(order)
            return
        if current and outcome in _PASSING and self._try_again(order):
            return
        if current or order.status == "unknown":
            order.flight = None
            order.error_code, order.error = from_exchange(error.code).name, _text(error)
            refused = apply_own(order, Kind.REFUSED, now_ms, error_code=order.error_code, error=order.error)
            self._manager.follow(order, refused)

    def _try_again(self, order: OrderState) -> bool:
        """Send a placement again that is proven not executed, under the same id; whether it may be.

        One that is to be cancelled is withdrawn instead.
        """
        if order.wanted_cancel:
            order.flight, order.sent_ms = None, 0
            self._manager.withdraw(order, order.wanted_cancel)
            return True
        order.tries += 1
        if order.tries >= MAX_TRIES:
            return False
        order.flight = None
        order.sent_ms = 0
        self._manager.sender.enter_later(order, RETRY_S * 2 ** (order.tries - 1))
        return True

    def _cancelled(self, order: OrderState, error: VenueError | None, outcome: Outcome | None) -> None:
        if outcome is Outcome.UNKNOWN:
            self._lose(order)
            return
        order.flight = None
        if error is not None and outcome in _PASSING:
            self._cancel_again(order)
            return
        order.wanted_cancel = ""
        if error is None or outcome is Outcome.NO_OP:
            self._manager.expect(order)
        elif outcome is Outcome.GONE:
            self._manager.clear_up(order)  # filled, cancelled or late: only a query tells
        else:
            self._fail(order, Kind.CANCEL_REFUSED, error)

    def _amended(self, order: OrderState, error: VenueError | None, outcome: Outcome | None) -> None:
        now_ms = self._now_ms()
        if outcome is Outcome.UNKNOWN:
            self._lose(order)
            return
        if outcome is Outcome.NO_OP:
            self._manager.follow(order, already_amended(order, now_ms))
            return
        if outcome in _PASSING and self._amend_again(order):
            return
        order.flight = None
        if error is None:
            order.tries = 0
            self._manager.expect(order)
            self._manager.follow(order, [])
            return
        if outcome is Outcome.GONE:
            self._manager.clear_up(order, doubted=True)
        if not self._manager.amendments.replace_refused(order, error.code):
            self._fail(order, Kind.AMEND_REFUSED, error)

    def _amend_again(self, order: OrderState) -> bool:
        """Send an amendment again that is proven not executed, or the newer one that waits; whether it may be.

        Of an order that is to be cancelled it may not: the cancel goes at once.
        """
        order.tries += 1
        if order.tries >= MAX_TRIES or order.flight is None or order.wanted_cancel:
            order.tries = 0
            return False
        order.wanted_amend = order.wanted_amend or order.flight.terms
        order.flight = None
        if order.status == "amending":  # it is not: whoever asks meanwhile is not to take it for done
            order.status = "active"
        self._manager.sender.enter_later(order, RETRY_S * 2 ** (order.tries - 1))
        return True

    def _fail(self, order: OrderState, kind: Kind, error: VenueError) -> None:
        code = from_exchange(error.code).name
        self._manager.follow(order, apply_own(order, kind, self._now_ms(), error_code=code, error=_text(error)))

    def _lose(self, order: OrderState) -> None:
        cancelling = order.flight is not None and order.flight.operation is Operation.CANCEL
        actions = lose(order, self._now_ms())
        if cancelling:
            self._cancel_again(order)
            return
        self._manager.clear_up(order)
        self._manager.follow(order, actions)

    def _cancel_again(self, order: OrderState) -> None:
        """Repeating a cancel is harmless, and goes on until the exchange has told the order's end."""
        pause_s = RETRY_S * 2 ** min(order.tries, MAX_DOUBLINGS)
        order.tries += 1
        self._manager.sender.enter_later(order, pause_s)


def _record(sent: Sent, error: str) -> None:
    """The request as a step. A placement's first outcome ends the step by which its order is told of."""
    order, operation, sent_ms = sent.order, sent.operation, sent.flight.sent_ms
    before = order.place.traceparent
    context = place_context(order.place)
    if operation is not Operation.PLACE or order.tries or sent.flight.lost:
        before = order.traceparent
        context = tracing.step(before, operation, str(sent_ms), "late" if sent.flight.lost else "")
    tracing.record(
        f"exchange {operation}",
        context,
        before,
        sent_ms,
        error=error,
        client_order_id=order.client_order_id,
        account_id=order.place.account_id,
        symbol=order.place.symbol,
    )


def _text(error: VenueError) -> str:
    return f"{error.message} (exchange code {error.code})" if error.code else f"{error.message} (HTTP {error.status})"
