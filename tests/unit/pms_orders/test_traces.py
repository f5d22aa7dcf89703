"""What an order's requests are as steps of a trace: ids that a restart makes again, one span for each outcome."""

from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from tests.unit.pms_orders.floor import Floor, entry
from tests.unit.pms_orders.orders import place

from pms_common import tracing
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import AmendOrder
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.traceparent import EXAMPLE, Ids, ids
from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.errors import VenueError
from pms_orders.domain.history import rebuild
from pms_orders.domain.order import Operation, OrderState, view
from pms_orders.domain.replacement import successor

OTHER = EXAMPLE.replace("4bf9", "5bf9")


class Span(NamedTuple):
    name: str
    own: Ids
    before: Ids | None
    error: str


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    kept: list[Span] = []

    class Kept:
        def record(self, name: str, own: Ids, before: Ids | None, _ns: int, error: str, _attributes: Any) -> None:
            kept.append(Span(name, own, before, error))

    monkeypatch.setattr(tracing, "_spans", Kept())
    return kept


def placed(floor: Floor, **fields: Any) -> tuple[OrderState, Sent]:
    order = place(traceparent=EXAMPLE, **fields)
    floor.manager.place(order, encode(order), entry())
    found = floor.manager.tracker.find(order.client_order_id)
    assert found is not None
    return found, floor.door.sent.pop() if floor.door.sent else Sent(Operation.PLACE, found, Any)


def test_where_nothing_is_recorded_an_order_is_told_of_in_the_context_it_came_with() -> None:
    order, _ = placed(Floor())
    assert view(order).traceparent == EXAMPLE


def test_a_restart_makes_the_same_context_again(spans: list[Span]) -> None:
    order, _ = placed(Floor())
    context = view(order).traceparent
    assert ids(context).trace_id == ids(EXAMPLE).trace_id and context != EXAMPLE
    restored = rebuild(order.place, order.created_ms, [], [])
    Floor().manager.restore(restored)
    assert view(restored).traceparent == context


def test_a_placement_and_what_changes_it_are_steps_of_their_own(spans: list[Span]) -> None:
    floor = Floor()
    order, sent = placed(floor)
    floor.arrive(sent)
    own = ids(view(order).traceparent)
    assert spans == [Span("exchange place", own, ids(EXAMPLE), "")]
    terms = {"client_order_id": order.client_order_id, "account_id": "a", "symbol": "BTCUSDT"}
    amend = AmendOrder(**terms, price=order.quantity * 9, quantity=order.quantity)
    floor.manager.amendments.amend(order, amend, entry(1))
    floor.arrive(floor.door.sent.pop())
    assert (spans[1].name, spans[1].before) == ("exchange amend", own)
    for report in floor.venue.feed:
        floor.hear(report)
    order.traceparent = OTHER  # a cancel in a trace of its own
    floor.manager.cancel(order, "requested")
    floor.arrive(floor.door.sent.pop())
    assert (spans[2].name, spans[2].before) == ("exchange cancel", ids(OTHER))
    assert len({span.own for span in spans}) == 3


def test_what_replaces_an_order_is_in_the_trace_of_who_wanted_it() -> None:
    order, _ = placed(Floor())
    wish = AmendOrder(
        client_order_id="", account_id="a", symbol="BTCUSDT", price=order.quantity, quantity=order.quantity
    )
    for traceparent, expected in ((OTHER, OTHER), ("", EXAMPLE)):
        new = successor(order, replace(wish, traceparent=traceparent), 1)
        assert new is not None and new.traceparent == expected


def test_each_try_is_a_step_and_a_lost_one_too(spans: list[Span]) -> None:
    floor = Floor()
    _, sent = placed(floor)
    floor.answer(sent, VenueError(503, 0, "Service Unavailable"))
    floor.venue.ms += 1_000
    floor.door.wake()
    again = floor.door.sent.pop()
    floor.outcomes.lost(again)
    floor.answer(again, None)
    assert [bool(span.error) for span in spans] == [True, True, False]
    assert len({span.own for span in spans}) == 3
    assert {span.own.trace_id for span in spans} == {ids(EXAMPLE).trace_id}


def test_an_order_that_is_never_sent_is_a_step_that_failed(spans: list[Span]) -> None:
    floor = Floor()
    floor.door.shut = True
    order, _ = placed(floor)
    floor.manager.bar(order, Operation.PLACE, CommandError(ErrorCode.EXPIRED_COMMAND))
    assert spans == [Span("order not sent", ids(view(order).traceparent), ids(EXAMPLE), "EXPIRED_COMMAND")]
