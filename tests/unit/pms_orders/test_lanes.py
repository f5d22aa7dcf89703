"""Lanes and the rate budget: who goes first, and who has to wait."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, place, sent

from pms_orders.domain.lanes import Lanes
from pms_orders.domain.order import Operation, Terms, register
from pms_orders.domain.rate import Budget, Lane, Window
from pms_orders.domain.reducer import depart


def everything(_lane: Lane) -> bool:
    return True


def test_cancels_go_before_closes_before_new_before_reprices() -> None:
    lanes = Lanes()
    new = register(place("new"), NOW)
    close = register(place("close", reduce_only=True), NOW)
    liquidation = register(place("liquidation", origin="LIQUIDATION"), NOW)
    reprice = sent("reprice")
    reprice.status, reprice.wanted_amend = "active", Terms(Decimal(101), Decimal(10))
    cancel = sent("cancel")
    cancel.status, cancel.wanted_cancel = "active", "requested"
    for order in (reprice, new, close, liquidation, cancel):
        assert lanes.enter(order)
    names = []
    while popped := lanes.pop(everything):
        names.append(popped[2].client_order_id)
    assert names == ["cancel", "close", "liquidation", "new", "reprice"]


def test_a_newer_target_takes_the_slot_of_the_waiting_one() -> None:
    lanes = Lanes()
    order = sent()
    order.status = "active"
    for price in (101, 102, 103):
        order.wanted_amend = Terms(Decimal(price), Decimal(10))
        lanes.enter(order)
    popped = lanes.pop(everything)
    assert popped is not None and popped[1] is Operation.AMEND
    depart(order, popped[1], NOW)
    assert order.flight is not None and order.flight.terms == Terms(Decimal(103), Decimal(10))
    assert lanes.pop(everything) is None


def test_a_cancel_overtakes_the_waiting_amendment_of_its_order() -> None:
    lanes = Lanes()
    order = sent()
    order.status, order.wanted_amend = "active", Terms(Decimal(101), Decimal(10))
    lanes.enter(order)
    order.wanted_cancel = "requested"
    lanes.enter(order)
    popped = lanes.pop(everything)
    assert popped is not None and popped[1] is Operation.CANCEL
    depart(order, popped[1], NOW)
    assert lanes.pop(everything) is None and len(lanes) == 0


def test_nothing_of_an_order_goes_while_something_is_in_flight() -> None:
    lanes = Lanes()
    order = register(place(), NOW)
    depart(order, Operation.PLACE, NOW)
    order.wanted_cancel = "requested"
    assert not lanes.enter(order)


def test_a_cancel_passes_while_new_orders_are_saturated() -> None:
    budget = Budget((Window(10_000, 10), Window(60_000, 100)), Window(60_000, 100))
    sent_new = 0
    while budget.admits(Lane.NEW, NOW):
        budget.spend(Lane.NEW, NOW)
        sent_new += 1
    assert sent_new == 9
    assert budget.admits(Lane.CLOSE, NOW) and budget.admits(Lane.CANCEL, NOW)
    assert not budget.admits(Lane.REPRICE, NOW)
    assert budget.wait_ms(Lane.NEW, NOW) > 0 == budget.wait_ms(Lane.CANCEL, NOW)


def test_queries_leave_the_cancels_reserve_alone() -> None:
    budget = Budget((), Window(60_000, 100))
    while budget.admits_query(5, NOW):
        budget.weight.take(NOW, 5)
    assert budget.weight.used == 75 and budget.admits(Lane.CANCEL, NOW)


def test_r25_a_ban_holds_everything_back_until_its_end() -> None:
    budget = Budget((Window(10_000, 10),), Window(60_000, 100))
    budget.block(NOW + 5_000)
    assert not any(budget.admits(lane, NOW + 4_999) for lane in Lane)
    assert all(budget.admits(lane, NOW + 5_000) for lane in Lane)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=200), st.integers(1, 20))
def test_no_aligned_window_is_ever_exceeded(pauses: list[int], limit: int) -> None:
    window = Window(10_000, limit)
    now, sent_at = NOW, []
    for pause in pauses:
        now += pause
        if window.room(now):
            window.take(now)
            sent_at.append(now)
    for start in {at - at % 10_000 for at in sent_at}:
        assert sum(start <= at < start + 10_000 for at in sent_at) <= limit


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["amend", "cancel", "pop"])), max_size=60))
def test_an_order_waits_at_most_once_a_lane(steps: list[tuple[int, str]]) -> None:
    lanes = Lanes()
    orders = [sent(str(n)) for n in range(5)]
    for order in orders:
        order.status = "active"
    for which, what in steps:
        order = orders[which]
        if what == "pop":
            popped = lanes.pop(everything)
            if popped is not None:
                depart(popped[2], popped[1], NOW)
                popped[2].flight, popped[2].wanted_cancel = None, ""
                popped[2].status = "active"
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
    assert lanes.pop(lambda lane: True) == (Lane.NEW, Operation.PLACE, waiting)
