"""What is proven and what is not, where requests overlap: a retry and a cancel, a query and a later request."""

from decimal import Decimal

import pytest
from tests.unit.pms_orders.floor import Floor, entry
from tests.unit.pms_orders.orders import place

from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import OrderState

NAME = "PMS_1"
THROTTLED = VenueError(503, -1008, "Request throttled by system-level protection.")


@pytest.fixture
def floor() -> Floor:
    return Floor()


def asked(floor: Floor) -> tuple[OrderState, Sent]:
    """An order whose placement has left."""
    floor.manager.place(place(NAME), b"", entry())
    order = floor.manager.tracker.find(NAME)
    assert order is not None
    return order, floor.door.sent.pop()


def resting(floor: Floor) -> OrderState:
    order, sent = asked(floor)
    floor.arrive(sent)
    for report in floor.venue.feed:
        floor.hear(report)
    floor.venue.feed.clear()
    return order


@pytest.mark.parametrize("error", [THROTTLED, VenueError(429, -1015, "Too many new orders."), VenueError(400, -1021, "")])
def test_an_order_that_is_to_be_cancelled_is_not_sent_again(floor: Floor, error: VenueError) -> None:
    order, sent = asked(floor)
    floor.manager.cancel(order, "requested")
    floor.answer(sent, error)
    floor.door.wake()
    assert not floor.door.sent, "proven not executed, and nobody wants it any more"
    assert order.status == "cancelled" and floor.ears.causes(NAME) == ["cancelled"]


def test_r04_a_cancel_goes_on_however_long_the_exchange_does_not_answer(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.cancel(order, "requested")
    for _ in range(1_100):  # an hour and a half
        floor.outcomes.lost(floor.door.sent.pop())
        floor.door.wake()
    assert order.status == "cancelling" and order.booked == Decimal(0)
