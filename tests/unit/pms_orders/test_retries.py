"""What goes again, for how long, and what must not."""

import pytest
from tests.unit.pms_orders.floor import Floor
from tests.unit.pms_orders.orders import NOW
from tests.unit.pms_orders.test_races import asked, hear_all, resting

from pms_common.clock import monotonic_ms
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Terms

AWAY = VenueError(503, -1001, "Internal error; unable to process your request. Please try again.")


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_r04_a_cancel_goes_on_through_hours_of_refusals(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.cancel(order, "requested")
    for _ in range(1_200):  # 80 minutes of them
        (cancel,) = floor.door.sent
        floor.door.sent.clear()
        floor.answer(cancel, AWAY)
        floor.door.wake()
    floor.settle()
    hear_all(floor)
    assert order.status == "cancelled"


def test_an_amendment_that_waits_to_go_again_is_not_told_as_done(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    order = resting(floor)
    assert order.price is not None
    order.wanted_amend = Terms(order.price + 1, order.quantity)
    floor.door.enter(order)
    (amend,) = floor.door.sent
    floor.door.sent.clear()
    floor.answer(amend, VenueError(429, -1015, "Too many new orders"))
    floor.ears.forget()
    monkeypatch.setattr(floor.door, "enter", lambda _order: None)
    for _ in range(5):  # the limit lasts; meanwhile somebody asks about the order
        floor.manager.clear_up(order, doubted=True)
        floor.pass_time(5_000)
        floor.poll()
    assert "amended" not in floor.ears.causes(order.client_order_id)
    assert order.wanted_amend is not None


@pytest.mark.parametrize("lost", [True, False])
def test_a_request_without_an_outcome_may_still_be_executed_for_a_while(floor: Floor, lost: bool) -> None:
    """A lease that is given back meanwhile is not to be told as idle: its successor would not wait."""
    order, sent = asked(floor)
    floor.answer(sent, VenueError(400, -2019, "Margin is insufficient."))
    assert floor.outcomes.quiet_for(1.2)
    order, sent = asked(floor, "PMS_2")
    if lost:
        floor.outcomes.lost(sent)
    else:
        floor.answer(sent, VenueError(503, 0, "Unknown error, please check your request or try again later."))
    assert order.status == "unknown"
    assert not floor.outcomes.quiet_for(1.2) and floor.outcomes.quiet_for(0.0)


@pytest.mark.parametrize("ahead_ms", [0, 3_600_000])
def test_r25_a_ban_lasts_as_long_as_the_venue_says_whatever_this_machines_clock_shows(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    monkeypatch.setattr(floor.outcomes, "_now_ms", lambda: NOW + ahead_ms)
    _, sent = asked(floor)
    begun_ms = monotonic_ms()
    floor.answer(sent, VenueError(418, -1003, f"Way too many requests; IP banned until {NOW + 600_000}."))
    assert floor.outcomes._budget.blocked_until_ms >= begun_ms + 600_000
