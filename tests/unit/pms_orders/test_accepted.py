"""What is told of an acknowledged order: `accepted` only where the feed is late, or the order is changed before."""

from typing import Any

import pytest
from tests.unit.pms_orders.orders import NOW, place, report, trade

from pms_common.rate.window import Window
from pms_orders.adapters.binance.transport import Sent
from pms_orders.app.expectations import ACCEPTED_AFTER_MS
from pms_orders.app.manager import OrderManager
from pms_orders.app.outcomes import Outcomes
from pms_orders.domain.gates import Gates
from pms_orders.domain.lanes import Lanes
from pms_orders.domain.order import Operation, OrderState, register
from pms_orders.domain.rate import Budget
from pms_orders.domain.reducer import Announce, depart
from pms_orders.domain.slots import Slots
from pms_orders.domain.table import Kind
from pms_orders.domain.tracker import OrderTracker


class Desk:
    """A manager whose publisher, journal and sender are this object."""

    def __init__(self) -> None:
        self.causes: list[str] = []
        self.answers = 0
        self.age_ms = 1_000
        self.lanes = Lanes()
        me: Any = self
        self.manager = OrderManager(
            tracker=OrderTracker(),
            gates=Gates(),
            specs={},
            publisher=me,
            journal=me,
            now_ms=lambda: NOW,
            ages_ms=lambda: self.age_ms,
        )
        self.slots = Slots()
        self.manager.sender = me
        budget = Budget((Window(10_000, 300),), Window(60_000, 2_400))
        self.outcomes = Outcomes(self.manager, budget, lambda: None, lambda: NOW, me)

    def placed(self, **fields: Any) -> tuple[OrderState, Sent]:
        order = register(place(**fields), NOW)
        self.manager.tracker.add(order)
        depart(order, Operation.PLACE, NOW)
        assert order.flight is not None
        return order, Sent(Operation.PLACE, order, order.flight)

    def acknowledge(self, sent: Sent) -> None:
        self.outcomes.answered(sent, 7, None)

    def tell(self, _order: OrderState, announces: list[Announce]) -> None:
        self.causes += [announce.cause for announce in announces]

    def answer(self, _order: OrderState) -> None:
        self.answers += 1

    def cancel_wanted(self, _order: OrderState) -> None:
        """The journal's."""

    def answered(self, *_what: Any) -> None:
        """The journal's."""

    def enter(self, _order: OrderState) -> None:
        """The sender's."""

    def turn(self, ms: int) -> None:
        self.age_ms += ms
        self.manager.tick()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_acknowledgement_answers_and_the_feed_tells(desk: Desk) -> None:
    order, sent = desk.placed()
    desk.acknowledge(sent)
    assert desk.answers == 1 and order.exchange_order_id == 7 and desk.causes == []
    desk.manager.report([report(Kind.NEW)])
    desk.turn(10 * ACCEPTED_AFTER_MS)
    assert desk.causes == ["active"]


@pytest.mark.parametrize(
    "fields", [{"order_type": "MARKET", "price": None, "time_in_force": None}, {"time_in_force": "IOC"}]
)
def test_an_order_that_cannot_rest_is_answered_and_not_told_active(desk: Desk, fields: dict[str, Any]) -> None:
    order, _ = desk.placed(**fields)
    desk.manager.report([report(Kind.NEW)])
    assert (order.status, desk.causes, desk.answers) == ("active", [], 1)
    desk.manager.report([trade(1, "10", "10", Kind.FILLED)])
    assert (order.status, desk.causes) == ("filled", ["fill"])


def test_a_late_feed_is_made_up_for_once(desk: Desk) -> None:
    _, sent = desk.placed()
    desk.acknowledge(sent)
    desk.turn(ACCEPTED_AFTER_MS - 1)
    assert desk.causes == []
    desk.turn(1)
    desk.turn(ACCEPTED_AFTER_MS)
    assert desk.causes == ["accepted"]
    desk.manager.report([report(Kind.NEW)])
    assert desk.causes == ["accepted", "active"]


@pytest.mark.parametrize("cancel_first", [False, True])
def test_a_cancel_before_the_feed_has_spoken_comes_after_accepted(desk: Desk, cancel_first: bool) -> None:
    order, sent = desk.placed()
    if cancel_first:
        desk.manager.cancel(order, "requested")
    desk.acknowledge(sent)
    desk.manager.cancel(order, "requested")
    assert desk.causes == ["accepted"] and order.wanted_cancel == "requested"
