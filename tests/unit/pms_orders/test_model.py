"""R-07: commands, polls and events in random order, with answers and events that are lost, late or heard twice.

At the end, when everything has been asked about, our orders are the venue's: states, quantities, executions; no request
to place was executed twice, no execution was told twice, no end before its executions.
"""

from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.pms_orders.floor import Floor, entry
from tests.unit.pms_orders.orders import place

from pms_common.contracts.bus.orders import AmendOrder
from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Operation, OrderState

UNKNOWN_503 = VenueError(503, 0, "Unknown error, please check your request or try again later.")
UNCERTAIN = (UNKNOWN_503, VenueError(408, -1007, "Timeout"), VenueError(400, -9999, "something new"))
CERTAIN = (
    VenueError(503, -1008, "Request throttled by system-level protection."),
    VenueError(503, -1001, "Internal error; unable to process your request. Please try again."),
    VenueError(400, -1021, "Timestamp for this request is outside of the recvWindow."),
    VenueError(400, -2019, "Margin is insufficient."),
)
NOT_EXECUTED = "it was not executed"
ENDS = {"FILLED": "filled", "CANCELED": "cancelled"}
QUANTITIES = st.integers(1, 12).map(Decimal)
PRICES = st.integers(98, 102).map(Decimal)


class Orders(RuleBasedStateMachine):
    """Our side and the venue's."""

    @initialize()
    def begin(self) -> None:
        self.floor = Floor()
        self.count = 0
        self.slow: list[Sent] = []
        self.answers: list[tuple[Sent, VenueError | None]] = []
        self.left: list[Sent] = []
        self.told: Counter[str] = Counter()

    def order(self, data: st.DataObject) -> OrderState:
        return data.draw(st.sampled_from(sorted(self.floor.manager.tracker.live(), key=lambda o: o.client_order_id)))

    def live(self) -> bool:
        return len(self.floor.manager.tracker) > 0

    # -- commands

    @precondition(lambda self: self.count < 4)
    @rule(reduce=st.booleans())
    def place(self, reduce: bool) -> None:
        self.count += 1
        work = place(f"PMS_{self.count}", reduce_only=reduce, reduce_only_on_venue=reduce, time_in_force="GTX")
        self.floor.manager.place(work, b"", entry(self.count))

    @precondition(live)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.floor.manager.cancel(self.order(data), "requested")

    @precondition(live)
    @rule(data=st.data(), price=PRICES, quantity=QUANTITIES)
    def amend(self, data: st.DataObject, price: Decimal, quantity: Decimal) -> None:
        order = self.order(data)
        wish = AmendOrder(
            client_order_id=order.client_order_id, account_id="a", symbol="BTCUSDT", price=price, quantity=quantity
        )
        self.floor.manager.amendments.amend(order, wish, entry(ms=self.floor.now_ms()))

    # -- requests on their way, and their answers

    def taken(self, data: st.DataObject) -> Sent:
        return self.floor.door.sent.pop(data.draw(st.integers(0, len(self.floor.door.sent) - 1)))

    @precondition(lambda self: self.floor.door.sent)
    @rule(data=st.data())
    def arrives(self, data: st.DataObject) -> None:
        self.floor.arrive(self.taken(data))

    @precondition(lambda self: self.floor.door.sent)
    @rule(data=st.data(), slow=st.booleans())
    def is_lost(self, data: st.DataObject, slow: bool) -> None:
        """Nobody answers; it never arrives, or does later: the venue refuses it when its window has passed."""
        sent = self.taken(data)
        if slow:
            self.slow.append(sent)
        self.floor.outcomes.lost(sent)

    @precondition(lambda self: self.slow)
    @rule()
    def arrives_late(self) -> None:
        sent = self.slow.pop()
        self.answers.append((sent, self.floor.venue.execute(sent)))

    @precondition(lambda self: self.floor.door.sent)
    @rule(data=st.data(), executed=st.booleans(), error=st.sampled_from(UNCERTAIN))
    def is_answered_without_proof(self, data: st.DataObject, executed: bool, error: VenueError) -> None:
        sent = self.taken(data)
        if executed:
            self.floor.venue.execute(sent)
        self.floor.answer(sent, error)

    @precondition(lambda self: self.floor.door.sent)
    @rule(data=st.data(), error=st.sampled_from(CERTAIN))
    def is_refused(self, data: st.DataObject, error: VenueError) -> None:
        self.floor.answer(self.taken(data), error)

    @precondition(lambda self: self.answers)
    @rule()
    def late_answer(self) -> None:
        self.floor.answer(*self.answers.pop())

    # -- the venue

    @precondition(lambda self: self.floor.venue.orders)
    @rule(data=st.data(), quantity=QUANTITIES)
    def trade(self, data: st.DataObject, quantity: Decimal) -> None:
        self.floor.venue.fill(data.draw(st.sampled_from(sorted(self.floor.venue.orders))), quantity)

    @precondition(lambda self: self.floor.venue.orders)
    @rule(data=st.data(), quantity=QUANTITIES)
    def shrink(self, data: st.DataObject, quantity: Decimal) -> None:
        self.floor.venue.shrink(data.draw(st.sampled_from(sorted(self.floor.venue.orders))), quantity)

    @precondition(lambda self: self.floor.venue.feed)
    @rule(data=st.data(), again=st.booleans())
    def hear(self, data: st.DataObject, again: bool) -> None:
        feed = self.floor.venue.feed
        at = data.draw(st.integers(0, len(feed) - 1))
        self.floor.hear(feed[at])
        if not again:
            del feed[at]

    @precondition(lambda self: self.floor.venue.feed)
    @rule(data=st.data())
    def miss(self, data: st.DataObject) -> None:
        feed = self.floor.venue.feed
        del feed[data.draw(st.integers(0, len(feed) - 1))]

    # -- time and polls

    @rule(ms=st.sampled_from([100, 400, 900, 2_000]), lag_ms=st.sampled_from([0, 700, 1_500]))
    def time(self, ms: int, lag_ms: int) -> None:
        self.floor.venue.lag_ms = lag_ms
        self.floor.pass_time(ms)
        self.floor.door.wake()

    @rule()
    def poll(self) -> None:
        self.floor.poll()

    @rule()
    def look(self) -> None:
        self.floor.look()

    # -- what holds at every moment

    @invariant()
    def what_is_told_is_true_when_it_is_told(self) -> None:
        for number in range(1, self.count + 1):
            name = f"PMS_{number}"
            order, truth = self.floor.manager.tracker.find(name), self.floor.venue.orders.get(name)
            assert order is not None
            if order.final and truth is not None:
                assert order.status == ENDS.get(truth.status) and order.booked == truth.executed, order
            told = self.floor.ears.told.get(name, [])
            for cause, announce in told[self.told[name] :]:
                if cause == "cancel_failed" and NOT_EXECUTED in (announce.error or ""):
                    assert truth is not None and truth.status != "CANCELED", order
            self.told[name] = len(told)

    @invariant()
    def what_is_to_be_cancelled_is_not_sent_again(self) -> None:
        sent = self.floor.door.sent
        new = [request for request in sent if not any(request is known for known in self.left)]
        assert not any(request.operation is Operation.PLACE and request.order.wanted_cancel for request in new)
        self.left = list(sent)

    def teardown(self) -> None:
        if not hasattr(self, "floor"):
            return
        self.floor.venue.feed.clear()
        self.floor.settle()
        check(self.floor, self.count)


def check(floor: Floor, count: int) -> None:
    """Our orders are the venue's."""
    for number in range(1, count + 1):
        name = f"PMS_{number}"
        order, truth = floor.manager.tracker.find(name), floor.venue.orders.get(name)
        assert order is not None
        if truth is None:
            assert order.status in ("rejected", "failed", "cancelled") and not order.executed, order
            continue
        assert (order.executed, order.booked) == (truth.executed, truth.executed), order
        assert order.trades == set(truth.trades)
        assert order.status == ENDS.get(truth.status, "active"), order
        if truth.open:
            assert (order.price, order.quantity) == (truth.price, truth.quantity)
        _check_told(floor.ears.told[name], set(truth.trades))
    assert not floor.manager.cases or all(not case.order.final for case in floor.manager.cases)


def _check_told(told: list[Any], trades: set[int]) -> None:
    fills = [announce.fill.trade_id for _, announce in told if announce.fill is not None]
    assert len(fills) == len(set(fills)) and set(fills) == trades
    ends = [at for at, (cause, _) in enumerate(told) if cause in ("cancelled", "expired")]
    if ends:
        assert not any(announce.fill is not None for _, announce in told[ends[-1] :])


TestR07OrdersAgreeWithTheVenue = Orders.TestCase
TestR07OrdersAgreeWithTheVenue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
