"""The reducer: what the exchange says, in any order and any number of times, ends in one truth."""

import itertools
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, place, report, sent, trade

from pms_orders.domain.order import Operation, OrderState, Terms, register, step
from pms_orders.domain.reducer import (
    Action,
    Announce,
    Heal,
    Odd,
    Report,
    accepted,
    acknowledge,
    apply_own,
    apply_report,
    depart,
    lose,
)
from pms_orders.domain.table import Kind


def causes(actions: list[Action]) -> list[str]:
    return [action.cause for action in actions if isinstance(action, Announce)]


def state(order: OrderState) -> str:
    return order.status


def departed() -> OrderState:
    order = register(place(), NOW)
    depart(order, Operation.PLACE, NOW)
    return order


def test_the_feed_moves_the_order_and_the_acknowledgement_only_names_it() -> None:
    order = departed()
    assert acknowledge(order, 7, NOW) == []
    assert state(order) == "placing" and order.exchange_order_id == 7
    assert causes(accepted(order, NOW)) == ["accepted"]
    assert causes(apply_report(order, report(Kind.NEW))) == ["active"]
    assert causes(apply_report(order, trade(1, "4", "4"))) == ["fill"]
    assert causes(apply_report(order, trade(2, "6", "10", Kind.FILLED))) == ["fill"]
    assert state(order) == "filled" and order.booked == order.executed == 10


def test_a_late_acknowledgement_is_a_no_op() -> None:
    order = departed()
    apply_report(order, report(Kind.NEW))
    assert acknowledge(order, 7, NOW) == accepted(order, NOW) == []
    assert state(order) == "active"


def test_r10_a_fill_before_new_is_booked() -> None:
    order = departed()
    assert causes(apply_report(order, trade(1, "10", "10", Kind.FILLED))) == ["fill"]
    assert apply_report(order, report(Kind.NEW)) == []
    assert state(order) == "filled"


def test_r08_a_repeated_fill_is_booked_once() -> None:
    order = departed()
    apply_report(order, trade(1, "4", "4"))
    assert causes(apply_report(order, trade(1, "4", "4"))) == []
    assert order.booked == order.executed == 4


def test_r09_a_missing_fill_is_asked_for_and_never_invented() -> None:
    order = departed()
    actions = apply_report(order, trade(2, "6", "10", Kind.FILLED))
    assert causes(actions) == ["fill"] and any(isinstance(action, Heal) for action in actions)
    assert order.booked == 6 and order.executed == 10 and not order.whole
    assert causes(apply_report(order, trade(1, "4", None))) == ["fill"]
    assert order.whole and order.status == "filled"


def test_r05_a_cancel_that_meets_a_fill_ends_filled() -> None:
    for first, second in itertools.permutations(
        [trade(1, "10", "10", Kind.FILLED), report(Kind.FOUND_FILLED, executed=Decimal(10))]
    ):
        order = sent()
        apply_report(order, report(Kind.NEW))
        order.wanted_cancel = "requested"
        depart(order, Operation.CANCEL, NOW)
        assert state(order) == "cancelling"
        apply_report(order, first)
        apply_report(order, second)
        assert state(order) == "filled" and order.booked == 10


def test_r03_late_truth_after_giving_up_is_adopted_and_told_to_be_odd() -> None:
    order = departed()
    apply_own(order, Kind.LOST, NOW)
    apply_own(order, Kind.ABSENT, NOW)
    assert state(order) == "failed"
    actions = apply_report(order, report(Kind.NEW))
    assert state(order) == "active" and causes(actions) == ["active"]
    assert any(isinstance(action, Odd) for action in actions)


def test_a_lost_placement_is_unknown_and_nothing_more_is_sent() -> None:
    order = departed()
    assert causes(lose(order, NOW)) == ["unknown"]
    order.wanted_cancel = "requested"
    assert step(order) is None


def test_a_lost_cancel_may_be_repeated_and_a_lost_amendment_may_not() -> None:
    order = sent()
    apply_report(order, report(Kind.NEW))
    order.wanted_cancel = "requested"
    depart(order, Operation.CANCEL, NOW)
    lose(order, NOW)
    assert step(order) is Operation.CANCEL
    other = sent()
    apply_report(other, report(Kind.NEW))
    other.wanted_amend = Terms(Decimal(101), Decimal(10))
    depart(other, Operation.AMEND, NOW)
    lose(other, NOW)
    other.wanted_amend = Terms(Decimal(102), Decimal(10))
    assert step(other) is None


def test_an_older_event_does_not_bring_older_terms_back() -> None:
    order = sent()
    apply_report(order, report(Kind.NEW, event_ms=NOW + 1, price=Decimal(100), quantity=Decimal(10)))
    amended = report(Kind.AMENDED, event_ms=NOW + 5, price=Decimal(101), quantity=Decimal(10), executed=Decimal(0))
    assert causes(apply_report(order, amended)) == ["amended"]
    apply_report(order, report(Kind.NEW, event_ms=NOW + 1, price=Decimal(100), quantity=Decimal(10)))
    assert order.price == 101


def test_a_venue_shrunk_quantity_is_taken() -> None:
    order = sent()
    apply_report(order, report(Kind.NEW, price=Decimal(100), quantity=Decimal(6)))
    assert order.quantity == 6


def test_an_amendment_found_by_a_query_lands_the_flight() -> None:
    order = sent()
    apply_report(order, report(Kind.NEW, price=Decimal(100), quantity=Decimal(10)))
    order.wanted_amend = Terms(Decimal(101), Decimal(10))
    depart(order, Operation.AMEND, NOW)
    lose(order, NOW)
    found = report(Kind.FOUND_OPEN, event_ms=NOW + 9, price=Decimal(101), quantity=Decimal(10))
    assert "amended" in causes(apply_report(order, found))
    assert order.flight is None


def test_an_amendment_whose_event_is_missed_is_told_when_a_query_shows_it() -> None:
    order = sent()
    apply_report(order, report(Kind.NEW, price=Decimal(100), quantity=Decimal(10)))
    order.wanted_amend = Terms(Decimal(101), Decimal(10))
    depart(order, Operation.AMEND, NOW)
    order.flight = None  # answered
    assert state(order) == "amending"
    found = report(Kind.FOUND_OPEN, event_ms=NOW + 9, price=Decimal(101), quantity=Decimal(10))
    assert causes(apply_report(order, found)) == ["amended"]
    assert state(order) == "active"


def amending(**fields: str) -> OrderState:
    order = sent(**fields)
    apply_report(order, report(Kind.NEW, price=Decimal(100), quantity=Decimal(10)))
    order.wanted_amend = Terms(Decimal(101), Decimal(8))
    depart(order, Operation.AMEND, NOW)
    return order


def told(actions: list[Action]) -> list[tuple[str, str | None]]:
    return [(action.cause, action.reason) for action in actions if isinstance(action, Announce)]


def test_an_amendment_whose_quantity_is_executed_already_cancels_the_order_and_says_so() -> None:
    order = amending()
    apply_report(order, trade(1, "9", "9"))
    ended = report(Kind.CANCELLED, event_ms=NOW + 3, executed=Decimal(9), reason="CANCELED")
    assert told(apply_report(order, ended)) == [("cancelled", "amended_below_executed")]
    assert order.flight is None and order.booked == 9


def test_r22_an_amendment_through_the_book_ends_a_post_only_order_and_says_so() -> None:
    order = amending(time_in_force="GTX")
    ended = report(Kind.EXPIRED, event_ms=NOW + 3, executed=Decimal(0), reason="EXPIRED")
    assert told(apply_report(order, ended)) == [("expired", "amended_through_book")]


def test_a_self_trade_prevented_while_amending_keeps_its_own_reason() -> None:
    order = amending(time_in_force="GTX")
    ended = report(Kind.EXPIRED, event_ms=NOW + 3, executed=Decimal(0), reason="EXPIRED_IN_MATCH")
    assert told(apply_report(order, ended)) == [("expired", "EXPIRED_IN_MATCH")]


def test_what_the_venue_makes_of_an_amended_reduce_only_order_is_its_outcome() -> None:
    order = amending(reduce_only_on_venue="true")
    shrunk = report(Kind.AMENDED, event_ms=NOW + 3, price=Decimal(101), quantity=Decimal(5), executed=Decimal(0))
    assert told(apply_report(order, shrunk)) == [("amended", None)]
    assert order.flight is None and order.status == "active" and order.quantity == 5


def test_a_resting_order_that_the_venue_shrinks_is_told() -> None:
    order = sent(reduce_only="true")
    apply_report(order, report(Kind.NEW, price=Decimal(100), quantity=Decimal(10)))
    version = order.version
    shrunk = report(Kind.FOUND_OPEN, event_ms=NOW + 3, price=Decimal(100), quantity=Decimal(6), executed=Decimal(0))
    assert causes(apply_report(order, shrunk)) == ["amended"]
    assert order.quantity == 6 and order.version > version


def test_an_older_amendment_is_not_told_again() -> None:
    order = amending()
    order.flight = None
    newer = report(Kind.AMENDED, event_ms=NOW + 9, price=Decimal(101), quantity=Decimal(8), executed=Decimal(0))
    older = report(Kind.AMENDED, event_ms=NOW + 3, price=Decimal(102), quantity=Decimal(8), executed=Decimal(0))
    assert causes(apply_report(order, newer)) == ["amended"]
    assert apply_report(order, older) == [] and order.price == 101


def test_r08_both_sides_of_a_self_match_are_booked_under_one_trade_id() -> None:
    buyer, seller = sent("PMS_a_1"), sent("PMS_b_1", side="SELL", account_id="b")
    bought, sold = trade(5, "10", "10", Kind.FILLED), trade(5, "10", "10", Kind.FILLED)
    sold.exchange_order_id = 8
    keys = [action.key for action in (*apply_report(buyer, bought), *apply_report(seller, sold)) if action != Heal()]  # type: ignore[union-attr]
    assert keys == ["BTCUSDT:7:5", "BTCUSDT:8:5"]
    assert buyer.status == seller.status == "filled"


def test_a_fill_after_a_cancel_is_booked_and_the_order_stays_cancelled() -> None:
    order = sent()
    apply_report(order, report(Kind.NEW))
    apply_report(order, report(Kind.CANCELLED, executed=Decimal(0)))
    assert causes(apply_report(order, trade(1, "4", "4"))) == ["fill"]
    assert order.status == "cancelled" and order.booked == 4


def test_r03_a_late_acknowledgement_after_giving_up_is_adopted() -> None:
    order = departed()
    lose(order, NOW)
    order.error_code, order.error = "EXCHANGE_UNAVAILABLE", "given up"
    apply_own(order, Kind.ABSENT, NOW)
    actions = acknowledge(order, 7, NOW)
    assert causes(actions) == ["accepted"] and state(order) == "placing"
    assert any(isinstance(action, Odd) for action in actions)
    assert causes(apply_report(order, trade(1, "10", "10", Kind.FILLED))) == ["fill"]
    assert state(order) == "filled" and order.error_code is None


def test_a_cancel_does_not_wait_for_the_truth_about_a_lost_amendment() -> None:
    order = amending()
    lose(order, NOW)
    order.wanted_cancel = "requested"
    assert step(order) is Operation.CANCEL
    depart(order, Operation.CANCEL, NOW)
    amended = report(Kind.AMENDED, event_ms=NOW + 3, price=Decimal(101), quantity=Decimal(8), executed=Decimal(0))
    assert causes(apply_report(order, amended)) == ["amended"]
    assert state(order) == "cancelling"


SEQUENCES = [
    [report(Kind.NEW), trade(1, "4", "4"), trade(2, "6", "10", Kind.FILLED)],
    [report(Kind.NEW), trade(1, "4", "4"), report(Kind.CANCELLED, event_ms=NOW + 3, executed=Decimal(4))],
    [report(Kind.NEW), report(Kind.EXPIRED, event_ms=NOW + 3, executed=Decimal(0), reason="EXPIRED_IN_MATCH")],
]


@given(st.data())
def test_any_order_and_repetition_ends_in_the_same_state(data: st.DataObject) -> None:
    sequence = data.draw(st.sampled_from(SEQUENCES))
    straight = _replayed(sequence)
    repeated = data.draw(st.lists(st.sampled_from(range(len(sequence))), max_size=5))
    shuffled = data.draw(st.permutations([*range(len(sequence)), *repeated]))
    other = _replayed([sequence[n] for n in shuffled])
    assert (other.status, other.booked, other.executed) == (straight.status, straight.booked, straight.executed)
    assert other.trades == straight.trades


def _replayed(reports: list[Report]) -> OrderState:
    order = departed()
    for one in reports:
        apply_report(order, one)
    return order


KINDS_OF_FEED = [Kind.NEW, Kind.CANCELLED, Kind.EXPIRED, Kind.AMENDED, Kind.FOUND_OPEN, Kind.FOUND_CANCELLED]
OWN = [Kind.LOST, Kind.REFUSED, Kind.ABSENT, Kind.CANCEL_REFUSED, Kind.AMEND_REFUSED, Kind.ACKNOWLEDGED]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(KINDS_OF_FEED).map(lambda kind: report(kind, executed=Decimal(0))),
            st.sampled_from(OWN),
            st.tuples(st.integers(1, 6), st.integers(0, 10)).map(
                lambda drawn: trade(drawn[0], "1", str(drawn[1]), Kind.FILLED if drawn[1] == 10 else Kind.TRADE)
            ),
        ),
        max_size=30,
    )
)
def test_r07_invariants_hold_for_any_sequence(happenings: list[Report | Kind]) -> None:
    """Executed never falls, booked is the sum of distinct trades, versions rise, a filled order stays filled."""
    order = departed()
    told: set[str] = set()
    executed, version = order.executed, order.version
    for happening in happenings:
        before = order.status
        own = isinstance(happening, Kind)
        actions = apply_own(order, happening, NOW) if own else apply_report(order, happening)  # type: ignore[arg-type]
        assert order.executed >= executed and order.executed >= order.booked
        assert order.booked == len(order.trades)
        assert order.version >= version
        assert before != "filled" or order.status == "filled"
        fills = [action.key for action in actions if isinstance(action, Announce) and action.fill is not None]
        assert not told & set(fills)
        told |= set(fills)
        executed, version = order.executed, order.version


def test_an_execution_that_was_listed_before_the_orders_end_is_told_once_and_the_end_without_it() -> None:
    order = sent()
    listed = apply_report(order, trade(1, "10", None))
    ended = apply_report(order, report(Kind.FOUND_FILLED, executed=Decimal(10)))
    told = [(action.cause, action.fill is not None) for action in (*listed, *ended) if isinstance(action, Announce)]
    assert told == [("fill", True), ("fill", False)]
    assert order.status == "filled"
