"""Limits at their edges: pauses that are told wrongly, what a line's way back costs, slots of orders tried again."""

import pytest
from tests.unit.pms_orders.orders import NOW, place
from tests.unit.pms_orders.test_rate import budget_of

from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import register
from pms_orders.domain.rate import MINUTE_MS, PAUSE_MS, Lane
from pms_orders.domain.slots import Slots


def test_r25_a_ban_that_is_over_by_a_clock_that_is_ahead_is_still_a_ban() -> None:
    budget = budget_of()
    error = VenueError(418, -1003, f"Way too many requests; IP banned until {NOW + 120_000}.")
    budget.refused(error, 5, NOW + 3_600_000)
    assert not budget.room(Lane.CANCEL, 4 + MINUTE_MS) and budget.room(Lane.CANCEL, 5 + MINUTE_MS)


@pytest.mark.parametrize("code", [-1003, -1015])
def test_r25_a_pause_of_nothing_is_a_pause_all_the_same(code: int) -> None:
    budget = budget_of()
    budget.refused(VenueError(429, code, "Too many", 0), 5)
    assert not budget.room(Lane.NEW, 4 + PAUSE_MS) and budget.room(Lane.NEW, 5 + PAUSE_MS)


def test_the_way_back_to_the_exchange_stays_open_where_queries_have_taken_all_they_may() -> None:
    budget = budget_of()
    budget.weight.take(NOW, 1_800)
    assert not budget.admits_query(1, NOW) and budget.admits_line(5, NOW)
    budget.weight.take(NOW, 528)
    assert not budget.admits_line(5, NOW)
    budget = budget_of()
    budget.block(NOW + 1)
    assert not budget.admits_line(5, NOW)


def test_an_order_that_is_tried_again_has_its_slot_already() -> None:
    slots = Slots()
    order, other = (register(place(name), NOW) for name in ("x1", "x2"))
    slots.hold(order)
    assert slots.admits(order, 1) and not slots.admits(other, 1)
