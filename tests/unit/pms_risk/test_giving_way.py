"""Closing takes nothing that another live order may still fill: what rests gives way (invariant 4)."""

from typing import Any

import pytest

from pms_risk.app.giving_way import ASK_AGAIN_MS, UNHEARD_MS

from .closing_steps import close, closer, opened, order, position_of, restart, result
from .desk import Desk, entry
from .test_forced import foreign
from .venue import Venue
from .world import D


def test_a_close_takes_the_quantity_of_a_resting_closer_and_waits_for_what_that_may_still_fill() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 4)
    close(desk)
    (first,) = venue.take()
    assert venue.orders[first].quantity == 6, "position less what may still fill"
    assert venue.cancelling == {resting}
    venue.fill(resting, D(1))
    assert venue.take() == []
    venue.end(resting)
    (rest,) = venue.take()
    assert venue.orders[rest].quantity == 3
    venue.fill(first)
    assert desk.result("c") is None
    venue.fill(rest)
    done = result(desk)
    assert (done["trade"]["quantity"], done["position"]["status"]) == (9, "CLOSED")
    assert [o["quantity"] for o in done["orders"]] == [6, 3]
    assert not desk.account.holdings
    assert desk.paper.hashes == {"closings": {}, "waits": {}}


def ask_to_close(desk: Desk, name: str, quantity: int, **changes: Any) -> None:
    """A trailing stop has fired."""
    terms = {"side": "SELL", "order_type": "MARKET", "price": None, "reduce_only": True, "origin": "TRAIL_STOP"}
    life = {"expires_at_ms": desk.now_ms + 10_000}
    desk.ask(desk.now_ms, **{**terms, **life, "client_order_id": name, "quantity": D(quantity), **changes})


def test_a_resting_closer_gives_way_to_the_close_of_an_algo() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 4)
    ask_to_close(desk, "K", 10)
    assert venue.take() == ["K"]
    assert (venue.orders["K"].quantity, venue.orders["K"].parent_id) == (6, "algo"), "what nobody else may fill"
    assert venue.cancelling == {resting}
    venue.fill("K")
    venue.end(resting)
    assert venue.take() == [], "its algo asks for the rest by another name"
    ask_to_close(desk, "L", 4)
    assert venue.take() == ["L"]
    venue.fill("L")
    assert not desk.account.holdings
    assert not desk.paper.hashes.get("closings")


@pytest.mark.parametrize("killed", [False, True])
def test_the_close_of_an_algo_waits_for_closers_that_claim_all_and_is_asked_for_once(killed: bool) -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    ask_to_close(desk, "K", 10)
    if killed:
        restart(desk)
    ask_to_close(desk, "K", 10)
    assert venue.take() == []
    assert venue.cancelling == {resting}
    venue.end(resting)
    assert venue.take() == ["K"]
    assert venue.orders["K"].quantity == 10
    ask_to_close(desk, "K", 10)
    assert venue.take() == []


def test_the_close_of_an_algo_that_has_given_it_up_is_not_sent() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    ask_to_close(desk, "K", 10)
    ask_to_close(desk, "K", 10, expires_at_ms=desk.now_ms - 1)
    venue.take()
    venue.end(resting)
    assert venue.take() == []


def test_a_partial_close_leaves_the_closers_what_is_left_and_takes_the_newest_first() -> None:
    desk, venue = opened()
    for price in ("101", "102"):
        order(desk, "SELL", 4, price, reduce_only=True)
        desk.now_ms += 1
    desk.price()
    old, new = venue.take()
    venue.accept(old)
    venue.accept(new)
    close(desk, quantity=5)
    (first,) = venue.take()
    assert venue.orders[first].quantity == 2
    assert (venue.amending, venue.cancelling) == ({new: D(1)}, set()), "made smaller, not cancelled"
    venue.amend(new, D(1))
    (rest,) = venue.take()
    assert venue.orders[rest].quantity == 3
    venue.fill(first)
    venue.fill(rest)
    assert result(desk)["position"] == {
        **result(desk)["position"],
        "status": "OPEN",
        "remainingQty": 5,
    }
    assert desk.account.holding("BTCUSDT", "BOTH").sells.quantity == 5


def test_a_closer_that_cannot_be_made_smaller_is_cancelled() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk, fraction=0.4)
    assert venue.take() == []
    venue.refuse_amend(resting)
    venue.take()
    assert venue.cancelling == {resting}
    venue.end(resting)
    (sent,) = venue.take()
    assert venue.orders[sent].quantity == 4


def test_a_limit_close_replaces_the_closers_that_rest() -> None:
    desk, venue = opened()
    desk.send(desk.closes.limit_close, "limit_close", requestId="l1", positionId=position_of(desk), price=104)
    (first,) = venue.take()
    venue.accept(first)
    assert result(desk, "l1")["orderId"] == first
    desk.send(desk.closes.limit_close, "limit_close", requestId="l2", positionId=position_of(desk), price=105)
    assert venue.take() == []
    assert venue.cancelling == {first}
    venue.end(first)
    (second,) = venue.take()
    venue.accept(second)
    assert (result(desk, "l2")["price"], result(desk, "l2")["quantity"]) == (105, 10)
    assert desk.paper.hashes == {"closings": {}, "waits": {}}


def test_a_closer_that_the_exchange_would_not_cancel_is_asked_again() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk)
    venue.take()
    venue.cancelling.clear()
    venue._tell("cancel_failed", venue._after(resting))
    desk.closings.tend()
    venue.take()
    assert not venue.cancelling, "not at once"
    desk.now_ms += 1_000
    desk.price()
    desk.closings.tend()
    venue.take()
    assert venue.cancelling == {resting}


@pytest.mark.parametrize("fraction", [1, 0.4])
def test_a_closer_that_does_not_answer_is_asked_again(fraction: float) -> None:
    """Redis may have lost the request with its last second."""
    desk, venue = opened()
    closer(desk, venue, 10)
    close(desk, fraction=fraction)
    sent = desk.urgent()
    assert len(sent) == 1
    for times in (1, 2):
        desk.closings.tend()
        desk.now_ms += UNHEARD_MS
        desk.price()
        desk.closings.tend()
        assert desk.urgent() == sent * (times + 1)


def test_a_closer_that_was_made_smaller_unheard_is_not_asked_again() -> None:
    """The exchange refuses to amend an order to what it is, and it would be cancelled for that."""
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk, fraction=0.4)
    venue.take()
    venue._tell("snapshot", venue._after(resting, quantity=D(6)))
    sent = desk.urgent()
    desk.now_ms += UNHEARD_MS
    desk.price()
    desk.closings.tend()
    assert desk.urgent() == sent
    assert not desk.closings.way.gives_way(resting)


def test_what_was_cancelled_for_another_reason_is_cancelled_again_for_that() -> None:
    desk, venue = opened()
    order(desk, "BUY", 1, "99")
    (resting,) = venue.take()
    venue.accept(resting)
    desk.closings.way.cancel(desk.account.orders[resting], "liquidation")
    venue._tell("cancel_failed", venue._after(resting))
    desk.now_ms += ASK_AGAIN_MS
    desk.closings.tend()
    assert [work.reason for work in desk.urgent()] == ["liquidation"] * 2


def reduce_by_adl(desk: Desk, venue: Venue, quantity: int) -> None:
    desk.state.books.house.opened_ms = 0
    desk.foreign.on_foreign(foreign(venue.exchange, "adl", "SELL", quantity, 100)[0], entry())


def test_what_fills_at_once_is_left_its_part_of_a_position_that_the_exchange_made_smaller() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 6)
    close(desk, quantity=4)
    (closing,) = venue.take()
    reduce_by_adl(desk, venue, 5)
    venue.take()
    assert (venue.amending, venue.cancelling) == ({resting: D(1)}, set())
    venue.amend(resting, D(1))
    venue.fill(closing)
    venue.fill(resting)
    assert not desk.account.holdings
    assert not desk.state.books.house.positions


def test_a_closer_is_cancelled_where_nobody_knows_how_small_it_may_be() -> None:
    """A forced close may be heard of before a start has learnt the trading rules."""
    desk, venue = opened()
    resting = closer(desk, venue, 6)
    desk.state.specs.clear()
    reduce_by_adl(desk, venue, 5)
    venue.take()
    assert (venue.amending, venue.cancelling) == ({}, {resting})


def test_a_closer_that_was_made_smaller_is_its_owners_again() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk, fraction=0.4)
    venue.take()
    assert desk.closings.way.gives_way(resting)
    venue.amend(resting, D(6))
    assert not desk.closings.way.gives_way(resting)


def test_orders_that_ended_unheard_are_not_remembered() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk)
    desk.account.drop_order(resting)
    desk.closings.tend()
    assert not desk.closings.way.gives_way(resting)
