"""Every happening in every state of an order, with all quantities: never an exception, never a step backwards."""

import itertools
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, report, sent, trade

from pms_common.contracts.bus.base import FINAL_STATES, OrderStatus
from pms_orders.domain.order import End, Flight, Operation, OrderState, Terms, may_rest_at, step
from pms_orders.domain.reducer import (
    Announce,
    Heal,
    Report,
    accepted,
    acknowledge,
    already_amended,
    apply_own,
    apply_report,
    depart,
    lose,
)
from pms_orders.domain.resolution import settled
from pms_orders.domain.table import STATES, TABLE, Kind

OWN = (
    Kind.ACKNOWLEDGED, Kind.REFUSED, Kind.LOST, Kind.ABSENT, Kind.BARRED, Kind.WITHDRAWN, Kind.CANCEL_SENT,
    Kind.CANCEL_REFUSED, Kind.AMEND_SENT, Kind.AMEND_REFUSED,
)  # fmt: skip
FLIGHTS = (None, *itertools.product(Operation, (False, True)))


def order_in(state: OrderStatus, flown: tuple[Operation, bool] | None, executed: str) -> OrderState:
    """An order in this state, with this request in flight (or lost), and this much executed."""
    order = sent()
    if executed != "0":
        apply_report(order, trade(1, executed, executed))
    order.status = state
    if flown is not None:
        operation, lost = flown
        order.flight = Flight(operation, NOW, Terms(Decimal(101), Decimal(8)), lost)
    return order


CASES = list(itertools.product(STATES, FLIGHTS, ("0", "4")))


def orders() -> Iterator[OrderState]:
    """An order of each case."""
    return itertools.starmap(order_in, CASES)


def reports(kind: Kind) -> Iterator[Report]:
    """What the exchange may say by this kind: with its terms or without, with more executed, the same or less."""
    for executed in (None, "0", "4", "10"):
        for quantity in (None, "6", "8"):
            price = None if quantity is None else Decimal(101)
            found = report(kind, quantity=None if quantity is None else Decimal(quantity), price=price)
            found.executed = None if executed is None else Decimal(executed)
            yield found
    if kind in (Kind.TRADE, Kind.FILLED):
        for number, size, executed in ((1, "4", "4"), (2, "6", "10"), (3, "2", None), (4, "2", "1")):
            yield trade(number, size, executed, kind)


def checked(order: OrderState, happening: Report | Kind) -> None:
    """Let it happen, and compare before with after."""
    before, executed, booked, version = order.status, order.executed, order.booked, order.version
    trades = set(order.trades)
    actions = apply_own(order, happening, NOW) if isinstance(happening, Kind) else apply_report(order, happening)
    assert order.executed >= executed and order.booked >= booked and order.executed >= order.booked
    assert order.version >= version and order.trades >= trades
    assert before != "filled" or order.status == "filled"
    announced = [action for action in actions if isinstance(action, Announce)]
    assert len({announce.key for announce in announced}) == len(announced)
    assert len([announce for announce in announced if announce.fill is not None]) == len(order.trades - trades)
    if order.status != before and (before, order.status) != ("amending", "active"):
        assert announced or happening in (Kind.CANCEL_SENT, Kind.AMEND_SENT)
    if announced:
        assert order.version > version
    if order.status in FINAL_STATES and before not in FINAL_STATES and not isinstance(happening, Kind):
        assert order.whole and order.end is None
        assert order.flight is None
    if not order.whole and not isinstance(happening, Kind):
        assert any(isinstance(action, Heal) for action in actions)
    if order.end is not None or order.status in FINAL_STATES:
        assert step(order) is None and may_rest_at(order) == ()
    settled(order)


@pytest.mark.parametrize("kind", Kind)
def test_every_pair_is_decided_without_exception_and_never_goes_backwards(kind: Kind) -> None:
    if kind in OWN:
        for order in orders():
            checked(order, kind)
        return
    for said in reports(kind):
        for order in orders():
            checked(order, said)


@pytest.mark.parametrize("happen", [accepted, lose, already_amended])
def test_what_happens_here_is_decided_in_every_state(happen: object) -> None:
    for order in orders():
        executed = order.executed
        happen(order, NOW)  # type: ignore[operator]
        assert order.executed == executed
    for order in orders():
        acknowledge(order, 7, NOW)
        assert order.exchange_order_id == 7


def test_no_step_is_taken_from_a_state_that_does_not_allow_it() -> None:
    for order in orders():
        order.wanted_cancel, order.wanted_amend = "requested", Terms(Decimal(102), Decimal(9))
        operation = step(order)
        if operation is None:
            continue
        before = order.status
        depart(order, operation, NOW)
        assert not TABLE[Kind.CANCEL_SENT if operation is Operation.CANCEL else Kind.AMEND_SENT][before].odd


TRADES = [trade(1, "4", "4"), trade(2, "3", "7"), trade(3, "3", "10", Kind.FILLED)]
ENDS = {
    "filled": [report(Kind.FILLED, executed=Decimal(10)), report(Kind.FOUND_FILLED, executed=Decimal(10))],
    "cancelled": [report(kind, executed=Decimal(7)) for kind in (Kind.CANCELLED, Kind.FOUND_CANCELLED)],
    "expired": [report(kind, executed=Decimal(7)) for kind in (Kind.EXPIRED, Kind.FOUND_EXPIRED)],
}


@given(st.data())
def test_r05_r07_an_end_is_told_once_and_after_all_its_executions(data: st.DataObject) -> None:
    ended = data.draw(st.sampled_from(sorted(ENDS)))
    fills = TRADES if ended == "filled" else TRADES[:2]
    pool = [report(Kind.NEW), *fills, *ENDS[ended]]
    order = sent()
    order.flight = Flight(Operation.PLACE, NOW)
    told: list[str] = []
    sequence = data.draw(st.permutations(pool)) + data.draw(st.lists(st.sampled_from(pool), max_size=4))
    for said in sequence:
        for action in apply_report(order, said):
            if isinstance(action, Announce):
                told.append("fill" if action.fill is not None else action.cause)
                assert action.cause != ended or order.whole
    assert order.status == ended and order.whole and order.flight is None
    assert told.count("fill") == len(fills)
    if ended != "filled":
        assert told.count(ended) == 1 and "fill" not in told[told.index(ended) :]


def test_an_end_that_waits_is_not_overtaken_by_a_cancel() -> None:
    order = sent()
    apply_report(order, report(Kind.NEW))
    apply_report(order, report(Kind.CANCELLED, executed=Decimal(4)))
    assert order.end == End("cancelled", NOW + 1, None)
    order.wanted_cancel = "requested"
    assert step(order) is None and not settled(order)
    apply_report(order, trade(1, "4", None))
    assert order.status == "cancelled" and settled(order)
