"""Lanes: who goes first, in which turn, and what is dropped on the way."""

from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, place, sent

from pms_orders.domain.lanes import Lanes
from pms_orders.domain.order import Operation, OrderState, Terms, register, step
from pms_orders.domain.rate import Lane
from pms_orders.domain.reducer import depart


def take(lanes: Lanes) -> OrderState | None:
    """The most urgent one of all lanes."""
    return next((order for lane in Lane if (order := lanes.take(lane)) is not None), None)


def taken(lanes: Lanes) -> list[str]:
    names = []
    while (order := take(lanes)) is not None:
        names.append(order.client_order_id)
    return names


def test_cancels_go_before_liquidations_before_closes_before_new_before_reprices() -> None:
    lanes = Lanes()
    new = register(place("new"), NOW)
    close = register(place("close", reduce_only=True), NOW)
    liquidation = register(place("liquidation", origin="LIQUIDATION"), NOW)
    reprice = sent("reprice")
    reprice.status, reprice.wanted_amend = "active", Terms(Decimal(101), Decimal(10))
    cancel = sent("cancel")
    cancel.status, cancel.wanted_cancel = "active", "requested"
    for order in (reprice, new, close, liquidation, cancel):
        assert lanes.enter(order) is not None
    assert taken(lanes) == ["cancel", "liquidation", "close", "new", "reprice"]


def test_accounts_take_turns_and_each_keeps_its_order() -> None:
    lanes = Lanes()
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        lanes.enter(register(place(name, account_id=name[0]), NOW))
    assert taken(lanes) == ["a1", "b1", "c1", "a2", "b2", "a3"]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 30))
def test_no_account_gets_more_than_one_turn_ahead_of_another_that_waits(accounts: list[str], most: int) -> None:
    lanes, asked = Lanes(), Counter(accounts)
    for number, account in enumerate(accounts):
        lanes.enter(register(place(str(number), account_id=account), NOW))
    got = Counter(order.place.account_id for _ in range(most) if (order := lanes.take(Lane.NEW)) is not None)
    for account in asked:
        waits = got[account] < asked[account]
        assert not waits or all(got[account] >= got[other] - 1 for other in asked)


def test_an_account_that_has_its_part_of_the_queue_is_told_so() -> None:
    lanes = Lanes()
    orders = [register(place(str(number)), NOW) for number in range(10)]
    for order in orders:
        lanes.enter(order)
    assert lanes.crowded(orders[0], 10) and not lanes.crowded(orders[0], 11)
    lanes.enter(register(place("other", account_id="b"), NOW))
    assert lanes.crowded(orders[0], 20) and not lanes.crowded(register(place("b2", account_id="b"), NOW), 20)


def test_a_newer_target_takes_the_slot_of_the_waiting_one() -> None:
    lanes = Lanes()
    order = sent()
    order.status = "active"
    for price in (101, 102, 103):
        order.wanted_amend = Terms(Decimal(price), Decimal(10))
        lanes.enter(order)
    assert lanes.depth(Lane.REPRICE) == 1 and take(lanes) is order
    depart(order, Operation.AMEND, NOW)
    assert order.flight is not None and order.flight.terms == Terms(Decimal(103), Decimal(10))
    assert take(lanes) is None


def test_a_cancel_overtakes_the_waiting_amendment_of_its_order() -> None:
    lanes = Lanes()
    order = sent()
    order.status, order.wanted_amend = "active", Terms(Decimal(101), Decimal(10))
    lanes.enter(order)
    order.wanted_cancel = "requested"
    lanes.enter(order)
    assert lanes.take(Lane.CANCEL) is order
    depart(order, Operation.CANCEL, NOW)
    assert take(lanes) is None and len(lanes) == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["amend", "cancel", "take"])), max_size=60))
def test_an_order_waits_at_most_once_a_lane(steps: list[tuple[int, str]]) -> None:
    lanes = Lanes()
    orders = [sent(str(n)) for n in range(5)]
    for order in orders:
        order.status = "active"
    for which, what in steps:
        order = orders[which]
        if what == "take":
            found = take(lanes)
            if found is not None:
                operation = step(found)
                assert operation is not None
                depart(found, operation, NOW)
                found.flight, found.wanted_cancel = None, ""
                found.status = "active"
        elif what == "amend":
            order.wanted_amend = Terms(Decimal(1), Decimal(1))
        else:
            order.wanted_cancel = "requested"
        lanes.enter(order)
        assert len(lanes) <= 10 and sum(lanes.depth(lane) for lane in Lane) == len(lanes)


def test_what_waits_to_be_sent_is_found_and_what_was_withdrawn_is_dropped() -> None:
    lanes = Lanes()
    waiting, withdrawn, amended = (register(place(name), NOW) for name in ("w", "x", "y"))
    for order in (waiting, withdrawn):
        lanes.enter(order)
    amended.sent_ms, amended.wanted_amend = NOW, Terms(Decimal(101), Decimal(1))
    lanes.enter(amended)
    withdrawn.status = "cancelled"
    assert lanes.unsent() == [waiting] and len(lanes) == 2
    assert take(lanes) is waiting
