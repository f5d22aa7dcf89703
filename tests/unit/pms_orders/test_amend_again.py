"""R-24: an amendment proven not executed for a passing reason is sent again, or the newer one in its place."""

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.pms_orders.orders import NOW, sent

from pms_common.rate.window import Window
from pms_orders.adapters.binance.transport import Sent
from pms_orders.app.outcomes import MAX_TRIES, Outcomes
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Operation, OrderState, Terms, step
from pms_orders.domain.rate import Budget, Lane
from pms_orders.domain.reducer import Action, depart

OLD, NEW = Terms(Decimal(101), Decimal(10)), Terms(Decimal(102), Decimal(10))


class Desk:
    """Manager, sender, journal and amendments of `Outcomes`, as far as amendments need them."""

    def __init__(self) -> None:
        me: Any = self
        self.sender = self.amendments = me
        self.budget = Budget((Window(10_000, 300), Window(60_000, 1_200)), Window(60_000, 2_400))
        self.later: list[OrderState] = []
        self.told: list[Action] = []
        self.measured = 0
        self.outcomes = Outcomes(me, self.budget, self._measure, lambda: NOW, me)

    def _measure(self) -> None:
        self.measured += 1

    def enter_later(self, order: OrderState, _delay_s: float) -> None:
        self.later.append(order)

    def answered(self, *_what: Any) -> None:
        """The journal's."""

    def replace_refused(self, *_what: Any) -> bool:
        return False

    def follow(self, _order: OrderState, actions: list[Action]) -> None:
        self.told += actions

    def refuse(self, order: OrderState, code: int) -> None:
        depart(order, Operation.AMEND, NOW)
        assert order.flight is not None
        self.outcomes.answered(Sent(Operation.AMEND, order, order.flight), 0, VenueError(400, code, "refused"))


def wanted(terms: Terms = OLD) -> OrderState:
    order = sent()
    order.status, order.exchange_order_id, order.wanted_amend = "active", 7, terms
    return order


@pytest.mark.parametrize(("code", "measured"), [(-1021, 1), (-5028, 1), (-1015, 0), (-1001, 0)])
def test_r24_it_is_sent_again_and_told_as_refused_only_at_last(code: int, measured: int) -> None:
    desk, order = Desk(), wanted()
    for number in range(1, MAX_TRIES):
        desk.refuse(order, code)
        assert len(desk.later) == number and not desk.told
        assert order.wanted_amend == OLD and step(order) is Operation.AMEND
    desk.refuse(order, code)
    assert desk.told and order.status == "active" and order.tries == 0
    assert desk.measured == measured * MAX_TRIES
    assert (desk.budget.room(Lane.REPRICE, 0) == 0) == (code == -1015)


def test_the_newer_one_goes_in_its_place() -> None:
    desk, order = Desk(), wanted()
    depart(order, Operation.AMEND, NOW)
    order.wanted_amend = NEW
    assert order.flight is not None
    desk.outcomes.answered(Sent(Operation.AMEND, order, order.flight), 0, VenueError(400, -1021, "clock"))
    assert order.wanted_amend == NEW and desk.later == [order]
