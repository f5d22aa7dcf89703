"""What happens between a request and its truth, case by case: lost answers, late ones, cancels that meet fills."""

import itertools
from decimal import Decimal

import pytest
from tests.unit.pms_orders.floor import Floor, entry
from tests.unit.pms_orders.orders import place

from pms_orders.adapters.binance.transport import Sent
from pms_orders.app.outcomes import MAX_TRIES
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import OrderState
from pms_orders.domain.resolution import QUERY_LAG_MS, RECV_WINDOW_MS

NAME = "PMS_1"
UNKNOWN = VenueError(503, 0, "Unknown error, please check your request or try again later.")


@pytest.fixture
def floor() -> Floor:
    return Floor()


def asked(floor: Floor, name: str = NAME) -> tuple[OrderState, Sent]:
    """An order whose placement has left."""
    floor.manager.place(place(name), b"", entry())
    order = floor.manager.tracker.find(name)
    assert order is not None
    return order, floor.door.sent.pop()


def resting(floor: Floor, name: str = NAME) -> OrderState:
    order, sent = asked(floor, name)
    floor.arrive(sent)
    hear_all(floor)
    assert order.status == "active"
    return order


def hear_all(floor: Floor) -> None:
    for report in floor.venue.feed:
        floor.hear(report)
    floor.venue.feed.clear()


@pytest.mark.parametrize("heard", ["feed", "query", "late answer"])
def test_r01_an_order_whose_answer_is_lost_is_unknown_and_resolves_without_a_second_post(
    floor: Floor, heard: str
) -> None:
    order, sent = asked(floor)
    floor.venue.execute(sent)
    floor.outcomes.lost(sent)
    assert order.status == "unknown" and not floor.door.sent
    floor.manager.cancel(order, "requested")
    assert not floor.door.sent, "nothing is done with an order before its truth is known"
    if heard == "feed":
        hear_all(floor)
    elif heard == "query":
        floor.pass_time(300)
        floor.poll()
    else:
        floor.answer(sent, None)
    (cancel,) = floor.door.sent
    assert cancel.operation == "cancel" and floor.venue.posts[NAME] == 1


@pytest.mark.parametrize("code", [-1001, -1008])
def test_r02_what_is_proven_not_executed_is_sent_again_under_the_same_id_and_three_times_at_most(
    floor: Floor, code: int
) -> None:
    order, sent = asked(floor)
    for _ in range(MAX_TRIES - 1):
        floor.answer(sent, VenueError(503, code, ""))
        assert order.status == "placing" and not floor.door.sent
        floor.door.wake()
        (sent,) = floor.door.sent
        floor.door.sent.clear()
        assert sent.order is order
    floor.answer(sent, VenueError(503, code, ""))
    floor.door.wake()
    assert order.status == "rejected" and order.error_code == "EXCHANGE_UNAVAILABLE" and not floor.door.sent


@pytest.mark.parametrize("executed", [True, False])
def test_r02_a_code_that_is_new_to_us_is_no_refusal_until_a_query_proves_it(floor: Floor, executed: bool) -> None:
    order, sent = asked(floor)
    if executed:
        floor.venue.execute(sent)
    floor.answer(sent, VenueError(400, -9999, "a new reason"))
    assert order.status == "unknown" and not floor.door.sent
    for _ in range(6):
        floor.pass_time(1_000)
        floor.poll()
    if executed:
        assert order.status == "active" and order.error_code is None
    else:
        assert order.status == "failed" and "a new reason" in (order.error or "")


def test_r03_an_absence_near_the_submission_is_not_terminal(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.venue.execute(sent)
    floor.outcomes.lost(sent)
    floor.venue.lag_ms = 1_500
    while floor.venue.ms < 1_500:
        floor.pass_time(250)
        floor.poll()
        assert order.status == "unknown"
    floor.pass_time(RECV_WINDOW_MS + QUERY_LAG_MS)
    floor.poll()
    assert order.status == "active" and floor.ears.causes(NAME) == ["unknown", "active"]


@pytest.mark.parametrize("first", ["answer", "new", "fill"])
def test_r03_late_truth_after_giving_up_is_adopted_with_state_fills_and_events(floor: Floor, first: str) -> None:
    order, sent = asked(floor)
    floor.outcomes.lost(sent)
    floor.pass_time(RECV_WINDOW_MS + QUERY_LAG_MS)
    floor.poll()
    assert order.status == "failed" and floor.manager.tracker.find(NAME) is order
    sent.flight.sent_ms = floor.now_ms()  # a venue that breaks its own window
    floor.venue.execute(sent)
    floor.venue.fill(NAME, Decimal(4))
    if first == "answer":
        floor.answer(sent, None)
    elif first == "fill":
        floor.venue.feed.reverse()
    hear_all(floor)
    assert order.status == "active" and order.booked == 4
    assert [live.client_order_id for live in floor.manager.tracker.live()] == [NAME]
    assert "fill" in floor.ears.causes(NAME)
    floor.manager.cancel(order, "requested")
    assert floor.door.sent, "an adopted order can be cancelled"


def test_r04_a_cancel_during_an_outage_goes_on_until_the_exchange_has_spoken(floor: Floor) -> None:
    order = resting(floor)
    floor.manager.cancel(order, "requested")
    for _ in range(60):
        sent = floor.door.sent.pop()
        floor.outcomes.lost(sent)
        assert order.status == "cancelling" and not floor.door.sent, "not at once"
        floor.pass_time(1_000)
        floor.door.wake()
    assert not order.final
    floor.arrive(floor.door.sent.pop())
    assert order.status == "cancelling", "an acknowledgement is no truth"
    hear_all(floor)
    assert order.status == "cancelled" and floor.ears.told[NAME][-1][1].reason == "requested"


@pytest.mark.parametrize("steps", list(itertools.permutations(["fill", "cancel", "answer", "poll"])))
@pytest.mark.parametrize("quantity", ["4", "10"])
def test_r05_a_cancel_races_a_fill_in_every_order(floor: Floor, steps: tuple[str, ...], quantity: str) -> None:
    """The fill happens, the cancel is executed, its answer is heard, somebody asks: in every order one truth."""
    order = resting(floor)
    floor.manager.cancel(order, "requested")
    sent = floor.door.sent.pop()
    error, executed = None, False
    for step in steps:
        if step == "fill":
            floor.venue.fill(NAME, Decimal(quantity))
        elif step == "cancel":
            error, executed = floor.venue.execute(sent), True
        elif step == "answer" and executed:
            floor.answer(sent, error)
        elif step == "answer":
            floor.outcomes.lost(sent)
        else:
            floor.look()
            floor.pass_time(300)
            floor.poll()
    floor.settle()
    truth = floor.venue.orders[NAME]
    assert order.status == {"FILLED": "filled", "CANCELED": "cancelled"}[truth.status]
    assert order.booked == order.executed == truth.executed and order.trades == set(truth.trades)
    ends = [cause for cause in floor.ears.causes(NAME) if cause == "cancelled"]
    assert len(ends) == (truth.status == "CANCELED")


def test_r10_a_fill_that_is_heard_before_anything_else_finds_its_order_by_the_id_alone(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.venue.execute(sent)
    floor.venue.fill(NAME, Decimal(10))
    floor.venue.feed.reverse()
    hear_all(floor)
    assert order.status == "filled" and floor.ears.causes(NAME) == ["fill"]
    floor.answer(sent, None)
    assert order.status == "filled" and floor.ears.causes(NAME) == ["fill"]


def test_another_order_of_the_exchange_under_one_of_our_names_is_not_ours(floor: Floor) -> None:
    order = resting(floor)
    foreign = floor.venue.orders[NAME]
    foreign.number = 999
    floor.venue.fill(NAME, Decimal(4))
    hear_all(floor)
    assert order.booked == 0 and order.status == "active"


@pytest.mark.parametrize("side", [7, 8])
def test_the_hints_of_both_sides_of_a_self_match_are_kept_apart(floor: Floor, side: int) -> None:
    orders = {order.exchange_order_id: order for order in (resting(floor, "PMS_1"), resting(floor, "PMS_2"))}
    first, second = sorted(number for number in orders if number is not None)
    for number in (first, second):
        floor.manager.hint("BTCUSDT", number, orders[number].client_order_id, 5)
    heard = orders[first if side == 7 else second]
    floor.venue.fill(heard.client_order_id, Decimal(10))
    fill = floor.venue.feed[-1].fill
    assert fill is not None
    fill = type(fill)(**{name: getattr(fill, name) for name in fill.__struct_fields__} | {"trade_id": 5})
    floor.venue.feed[-1].fill = fill
    hear_all(floor)
    floor.pass_time(2_000)
    assert [case.order for case in floor.manager.cases] == [order for order in orders.values() if order is not heard]


@pytest.mark.parametrize("executed", [True, False])
def test_r03_an_order_that_its_cancel_overtook_may_have_been_sent_by_a_predecessor(
    floor: Floor, executed: bool
) -> None:
    killed = Floor()
    _, sent = asked(killed)
    if executed:
        killed.venue.execute(sent)
    floor.venue.orders, floor.venue.past = killed.venue.orders, killed.venue.past
    floor.manager.bury(NAME)
    floor.manager.place(place(NAME), b"", entry(suspect=True))
    order = floor.manager.tracker.find(NAME)
    assert order is not None and order.status == "unknown", "it is not told as ended before it was asked for"
    floor.settle()
    assert floor.venue.posts[NAME] == 0, "this process sends it in no case"
    assert order.status == ("cancelled" if executed else "failed")
    assert not executed or not floor.venue.orders[NAME].open


def test_r01_a_duplicate_id_shows_that_an_earlier_try_was_executed_after_all(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.venue.execute(sent)
    floor.answer(sent, VenueError(503, -1001, "Internal error; unable to process your request. Please try again."))
    floor.door.wake()
    (again,) = floor.door.sent
    floor.door.sent.clear()
    floor.answer(again, VenueError(400, -4116, "ClientOrderId is duplicated."))
    assert order.status == "unknown"
    floor.pass_time(300)
    floor.poll()
    assert order.status == "active" and not floor.door.sent


def test_r22_a_post_only_refusal_is_told_with_its_code_and_left_to_who_prices_the_order(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.answer(sent, VenueError(400, -5022, "Due to the order could not be executed as maker"))
    floor.door.wake()
    assert order.status == "rejected" and order.error_code == "EXCHANGE_POST_ONLY" and not floor.door.sent
    assert floor.ears.causes(NAME) == ["rejected"]


def test_a_cancel_between_two_tries_ends_an_order_that_is_proven_not_executed(floor: Floor) -> None:
    order, sent = asked(floor)
    floor.answer(sent, VenueError(503, -1008, "Request throttled by system-level protection."))
    floor.manager.cancel(order, "requested")
    floor.door.wake()
    assert order.status == "cancelled" and not floor.door.sent, "proven not executed, so nothing is to be cancelled"
