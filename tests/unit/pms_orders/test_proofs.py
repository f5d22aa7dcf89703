"""What is proven and what is not, where requests overlap: a retry and a cancel, a query and a later request."""

from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from tests.unit.pms_orders.floor import Floor, entry
from tests.unit.pms_orders.orders import NOW, place

from pms_common.contracts.bus.orders import AmendOrder
from pms_orders.adapters.binance.transport import Sent
from pms_orders.app.amendments import AMEND_WITHIN_MS
from pms_orders.app.resolver import Resolver
from pms_orders.domain.errors import VenueError
from pms_orders.domain.history import rebuild, transition
from pms_orders.domain.order import Operation, OrderState
from pms_orders.domain.resolution import QUERY_LAG_MS, SPOKEN_WITHIN_MS

NAME = "PMS_1"
THROTTLED = VenueError(503, -1008, "Request throttled by system-level protection.")
CLOCK = VenueError(400, -1021, "Timestamp for this request is outside of the recvWindow.")


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


@pytest.mark.parametrize("error", [THROTTLED, VenueError(429, -1015, "Too many new orders."), CLOCK])
def test_an_order_that_is_to_be_cancelled_is_not_sent_again(floor: Floor, error: VenueError) -> None:
    order, sent = asked(floor)
    floor.manager.cancel(order, "requested")
    floor.answer(sent, error)
    floor.door.wake()
    assert not floor.door.sent, "proven not executed, and nobody wants it any more"
    assert order.status == "cancelled" and floor.ears.causes(NAME) == ["cancelled"]


def test_a_cancel_does_not_wait_for_an_amendment_that_was_refused_in_passing(floor: Floor) -> None:
    order = resting(floor)
    wish = AmendOrder(
        client_order_id=NAME, account_id="a", symbol="BTCUSDT", price=Decimal(101), quantity=Decimal(10)
    )  # fmt: skip
    floor.manager.amendments.amend(order, wish, entry(1))
    floor.manager.cancel(order, "requested")
    floor.answer(floor.door.sent.pop(), CLOCK)
    assert [sent.operation for sent in floor.door.sent] == ["cancel"] and order.wanted_amend is None
    assert floor.ears.causes(NAME) == ["active", "amend_failed"]


def test_r04_a_cancel_taken_while_the_order_is_asked_about_is_not_refuted_by_a_query_that_lags(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.clear_up(order, doubted=True)
    case = next(iter(floor.manager.cases))
    floor.venue.ms = case.conclusive_ms - 100
    floor.manager.cancel(order, "requested")
    floor.arrive(floor.door.sent.pop())  # executed, and its event missed
    floor.venue.lag_ms = QUERY_LAG_MS - 100
    floor.pass_time(200)
    floor.poll()
    assert order.status == "cancelling" and "cancel_failed" not in floor.ears.causes(NAME)
    for _ in range(6):
        floor.pass_time(1_000)
        floor.poll()
    assert order.status == "cancelled"


def test_r04_a_cancel_nobody_answered_is_not_refuted_by_a_query_before_it_is_repeated(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.clear_up(order, doubted=True)
    case = next(iter(floor.manager.cases))
    floor.venue.ms = case.conclusive_ms
    floor.manager.cancel(order, "requested")
    floor.outcomes.lost(floor.door.sent.pop())
    floor.door.shut = True  # the lane is full
    floor.poll()
    assert order.status == "cancelling" and "cancel_failed" not in floor.ears.causes(NAME)
    floor.door.shut = False
    floor.door.wake()
    assert [sent.operation for sent in floor.door.sent] == ["cancel"], "it is repeated"


def test_r03_an_order_on_its_way_is_not_proven_absent_by_what_was_asked_before_its_last_try(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.manager.clear_up(order, doubted=True)  # a reconciliation did not find it
    case = next(iter(floor.manager.cases))
    floor.answer(sent, THROTTLED)
    floor.venue.ms = case.conclusive_ms - 100
    floor.door.wake()
    (again,) = floor.door.sent
    assert floor.venue.execute(again) is None
    floor.venue.lag_ms = QUERY_LAG_MS - 100
    floor.pass_time(200)
    floor.poll()
    assert order.status == "placing", "it was executed"


def test_an_order_that_is_asked_about_again_and_again_is_concluded_all_the_same(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.outcomes.lost(sent)
    for _ in range(8):
        floor.pass_time(1_000)
        floor.manager.clear_up(order, doubted=True)  # a reconciliation that has to be run again and again
        floor.poll()
    assert order.status == "failed"


def test_r04_a_cancel_goes_on_however_long_the_exchange_does_not_answer(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.cancel(order, "requested")
    for _ in range(1_100):  # an hour and a half
        floor.outcomes.lost(floor.door.sent.pop())
        floor.door.wake()
    assert order.status == "cancelling" and order.booked == Decimal(0)


def test_an_order_that_waits_for_a_limit_is_refused_when_its_time_is_over_not_when_the_limit_is(floor: Floor) -> None:
    floor.door.shut = True
    floor.manager.place(place(NAME, expires_at_ms=floor.now_ms() + 10_000), b"", entry())
    order = floor.manager.tracker.find(NAME)
    assert order is not None
    floor.pass_time(10_000)
    assert order.status == "placing"
    floor.pass_time(1)
    assert order.status == "failed" and order.error_code == "EXPIRED_COMMAND" and floor.ears.answers == [NAME]


@pytest.mark.parametrize(("age_ms", "error"), [(10_000, None), (10_001, "EXPIRED_COMMAND")])
def test_an_amendment_of_before_an_outage_is_refused(floor: Floor, age_ms: int, error: str | None) -> None:
    order = resting(floor)
    wish = AmendOrder(client_order_id=NAME, account_id="a", symbol="BTCUSDT", price=Decimal(101), quantity=Decimal(10))
    old = entry(1, suspect=True, ms=floor.now_ms() - age_ms)
    floor.manager.amendments.amend(order, wish, old)
    cause, told = floor.ears.told[NAME][-1]
    assert (cause, told.error_code) == (("active", None) if error is None else ("amend_failed", error))
    assert bool(floor.door.sent) is (error is None) and (old in floor.ears.acknowledged) is (error is not None)


def test_an_amendment_that_waits_for_a_limit_is_refused_when_its_time_is_over(floor: Floor) -> None:
    order = resting(floor)
    floor.door.shut = True
    wish = AmendOrder(client_order_id=NAME, account_id="a", symbol="BTCUSDT", price=Decimal(101), quantity=Decimal(10))
    asked = entry(1, ms=floor.now_ms())
    floor.manager.amendments.amend(order, wish, asked)
    floor.pass_time(AMEND_WITHIN_MS)
    assert order.wanted_amend is not None
    floor.pass_time(1)
    cause, told = floor.ears.told[NAME][-1]
    assert (cause, told.error_code) == ("amend_failed", "EXPIRED_COMMAND") and asked in floor.ears.acknowledged
    assert order.status == "active" and order.wanted_amend is None


def test_an_amendment_refused_while_the_one_before_it_is_unclear_does_not_hide_that_one(floor: Floor) -> None:
    order = resting(floor)
    wish = AmendOrder(client_order_id=NAME, account_id="a", symbol="BTCUSDT", price=Decimal(101), quantity=Decimal(10))
    floor.manager.amendments.amend(order, wish, entry(1, ms=floor.now_ms()))
    floor.outcomes.lost(floor.door.sent.pop())
    newer = msgspec.structs.replace(wish, price=Decimal(102))
    floor.manager.amendments.amend(order, newer, entry(2, ms=floor.now_ms()))
    floor.pass_time(AMEND_WITHIN_MS + 1)  # the exchange does not answer queries, either
    assert floor.ears.causes(NAME)[-1] == "amend_failed" and order.wanted_amend is None
    for _ in range(5):
        floor.poll()
        floor.pass_time(5_000)
    assert order.status == "active" and order.flight is None and not len(floor.manager.amendments)
    floor.manager.amendments.amend(order, newer, entry(3, ms=floor.now_ms()))
    assert [sent.operation for sent in floor.door.sent] == [Operation.AMEND]


def test_r11_a_successor_asks_about_an_order_that_was_taken_and_of_which_the_feed_was_not_heard(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.arrive(sent)
    assert order.status == "placing" and order.exchange_order_id is not None
    successor = Floor()
    successor.resolver = Resolver(successor.manager, cast("Any", floor.venue), lambda: successor.venue.ms, lambda: None)
    left = rebuild(order.place, NOW, [transition(order)], ())
    successor.manager.restore(left)
    successor.pass_time(1_000)
    successor.poll()
    assert left.status == "active" and successor.ears.causes(NAME) == ["active"]


def test_a_successor_sends_the_cancel_that_was_wanted_and_did_not_leave(floor: Floor) -> None:
    order = resting(floor)
    floor.door.shut = True
    floor.manager.cancel(order, "requested")
    successor = Floor()
    successor.manager.restore(rebuild(order.place, NOW, [transition(order)], ()))
    assert [sent.operation for sent in successor.door.sent] == [Operation.CANCEL]


def test_r11_an_event_that_comes_again_does_not_stand_for_the_one_that_is_missed(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.arrive(sent)
    placed = floor.venue.feed.pop()
    floor.hear(placed)
    floor.manager.cancel(order, "requested")
    floor.arrive(floor.door.sent.pop())
    floor.venue.feed.clear()
    floor.hear(placed)
    floor.pass_time(SPOKEN_WITHIN_MS + 1)
    floor.pass_time(1_000)
    floor.poll()
    assert order.status == "cancelled"
