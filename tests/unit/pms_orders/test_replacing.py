"""Amend first; where that cannot be, cancel and place the rest: once the first order has ended, and never twice."""

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.pms_orders.floor import Floor, entry
from tests.unit.pms_orders.orders import place

from pms_common.contracts.bus.orders import AmendOrder
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import OrderState, Terms

NAME, NEXT = "PMS_1", "PMS_1_2"


@pytest.fixture
def floor() -> Floor:
    return Floor()


def hear_all(floor: Floor) -> None:
    for report in floor.venue.feed:
        floor.hear(report)
    floor.venue.feed.clear()


def resting(floor: Floor, name: str = NAME, **fields: Any) -> OrderState:
    floor.manager.place(place(name, **fields), b"", entry())
    floor.arrive(floor.door.sent.pop())
    hear_all(floor)
    order = floor.manager.tracker.find(name)
    assert order is not None
    return order


def wish(price: str, quantity: str, replace_as: str = NEXT) -> AmendOrder:
    return AmendOrder(
        client_order_id=NAME, account_id="a", symbol="BTCUSDT", price=Decimal(price), quantity=Decimal(quantity),
        replace_as=replace_as,
    )  # fmt: skip


def meeting_own(floor: Floor, replace_as: str = NEXT) -> OrderState:
    """An order that is to be amended to where another account of ours rests."""
    order = resting(floor)
    resting(floor, "PMS_b_1", side="SELL", price="105", account_id="b")
    floor.manager.amendments.amend(order, wish("106", "12", replace_as), entry(1))
    return order


def test_an_amendment_is_one_request(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.amendments.amend(order, wish("101", "12"), entry(1))
    (sent,) = floor.door.sent
    assert len(floor.ears.acknowledged) == 1, "its entry waits for the outcome"
    assert sent.operation == "amend" and sent.flight.terms == Terms(Decimal(101), Decimal(12))
    floor.arrive(floor.door.sent.pop())
    hear_all(floor)
    assert floor.ears.causes(NAME) == ["active", "amended"] and floor.manager.tracker.find(NEXT) is None
    assert len(floor.ears.acknowledged) == 2 and len(floor.manager.amendments) == 0


def test_no_need_to_modify_is_a_success(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.amendments.amend(order, wish("100", "10"), entry(1))
    floor.arrive(floor.door.sent.pop())
    assert floor.ears.causes(NAME) == ["active", "amended"] and order.status == "active"


def test_an_own_order_at_the_price_refuses_the_amendment_unless_it_may_be_replaced(floor: Floor) -> None:
    order = meeting_own(floor, replace_as="")
    assert floor.ears.causes(NAME) == ["active", "amend_failed"] and order.status == "active"
    assert not floor.door.sent and len(floor.manager.amendments) == 0


def test_the_remainder_is_placed_when_the_first_order_has_ended_and_not_before(floor: Floor) -> None:
    order = meeting_own(floor)
    (cancel,) = floor.door.sent
    floor.door.sent.clear()
    assert cancel.operation == "cancel" and floor.manager.tracker.find(NEXT) is None
    floor.venue.fill(NAME, Decimal(4))
    floor.arrive(cancel)
    assert not floor.door.sent, "an acknowledged cancel is no end"
    hear_all(floor)
    assert order.status == "cancelled" and floor.ears.told[NAME][-1][1].reason == "replaced"
    (second,) = floor.door.sent
    assert second.operation == "place" and second.order.client_order_id == NEXT
    assert (second.order.price, second.order.quantity) == (Decimal(106), Decimal(8))
    assert floor.ears.registered_orders[-1] == NEXT, "written down before it leaves"
    assert second.order.place.self_trade_prevention == order.place.self_trade_prevention
    assert len(floor.manager.amendments) == 0


@pytest.mark.parametrize("code", [-5025, -5026])
def test_what_the_venue_does_not_amend_is_replaced(floor: Floor, code: int) -> None:
    order = resting(floor)
    floor.manager.amendments.amend(order, wish("101", "12"), entry(1))
    floor.answer(floor.door.sent.pop(), VenueError(400, code, "not amendable"))
    assert floor.ears.causes(NAME) == ["active"]
    floor.settle()
    assert order.status == "cancelled"
    assert floor.venue.orders[NEXT].quantity == 12 and floor.venue.orders[NEXT].open


def test_another_refusal_is_told_as_it_is(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.amendments.amend(order, wish("101", "12"), entry(1))
    floor.answer(floor.door.sent.pop(), VenueError(400, -2019, "Margin is insufficient."))
    (told,) = [announce for cause, announce in floor.ears.told[NAME] if cause == "amend_failed"]
    assert told.error_code == "EXCHANGE_MARGIN_INSUFFICIENT" and order.status == "active"


def test_an_order_that_is_filled_while_it_is_cancelled_has_no_follower(floor: Floor) -> None:
    order = meeting_own(floor)
    floor.venue.fill(NAME, Decimal(10))
    floor.settle()
    assert order.status == "filled" and floor.manager.tracker.find(NEXT) is None


def test_a_users_cancel_ends_the_replacement(floor: Floor) -> None:
    order = meeting_own(floor)
    floor.manager.cancel(order, "requested")
    floor.settle()
    assert order.status == "cancelled" and floor.manager.tracker.find(NEXT) is None
    assert floor.ears.told[NAME][-1][1].reason == "requested"


def test_the_newest_wish_counts_and_a_barrier_stops_the_follower(floor: Floor) -> None:
    order = meeting_own(floor)
    floor.manager.amendments.amend(order, wish("99", "11"), entry(2))
    floor.gates.raise_barrier("a", "", children=True, at_ms=floor.now_ms())
    floor.settle()
    new = floor.manager.tracker.find(NEXT)
    assert new is not None and new.status == "cancelled" and new.price == 99 and NEXT not in floor.venue.orders


def test_a_cancel_that_is_refused_leaves_the_order_and_no_follower(floor: Floor) -> None:
    order = meeting_own(floor)
    floor.answer(floor.door.sent.pop(), VenueError(400, -1102, "Mandatory parameter"))
    assert order.status == "active" and floor.ears.causes(NAME)[-1] == "cancel_failed"
    floor.venue.fill(NAME, Decimal(10))
    floor.settle()
    assert floor.manager.tracker.find(NEXT) is None


@pytest.mark.parametrize("sent", [True, False])
def test_r01_a_successor_asks_for_the_follower_before_anything_else(floor: Floor, sent: bool) -> None:
    """The predecessor died after the first order had ended, perhaps after the second had left."""
    order = resting(floor)
    floor.manager.cancel(order, "replaced")
    floor.arrive(floor.door.sent.pop())
    hear_all(floor)
    if sent:
        twin = Floor()
        resting(twin, NEXT, quantity="12", price="106")
        floor.venue.orders[NEXT] = twin.venue.orders[NEXT]
        floor.venue.past[NEXT] = twin.venue.past[NEXT]
    floor.manager.amendments.amend(order, wish("106", "12"), entry(1, suspect=True))
    assert not floor.door.sent
    floor.settle()
    new = floor.manager.tracker.find(NEXT)
    assert new is not None and floor.venue.posts[NEXT] == 0
    assert (new.status, new.error_code) == (("active", None) if sent else ("failed", "EXPIRED_COMMAND"))


def test_an_amendment_to_what_is_executed_already_is_a_cancel(floor: Floor) -> None:
    order = resting(floor)
    floor.venue.fill(NAME, Decimal(4))
    hear_all(floor)
    floor.manager.amendments.amend(order, wish("101", "4"), entry(1))
    floor.settle()
    assert order.status == "cancelled" and order.booked == 4 and floor.manager.tracker.find(NEXT) is None
    assert floor.ears.told[NAME][-1][1].reason == "amended_below_executed"
