"""close_all: nothing that the account had under way comes after it."""

from typing import Any

import pytest

from pms_common.contracts.bus.algos import AlgosControlled, ControlAlgos, algos_work
from pms_common.contracts.bus.orders import RaiseBarrier, order_work
from pms_common.contracts.bus.risk import ChildRefused
from pms_risk.app.clearing import TELL_AGAIN_MS
from pms_risk.domain.barriers import MAX_BARRIERS, Barriers

from .closing_steps import opened, order, position_of, result
from .desk import Desk, entry
from .venue import Venue
from .world import D


def close_all(desk: Desk, **fields: Any) -> None:
    desk.send(desk.closes.close_all, "close_all", **{"requestId": "ca", "subAccountId": "a"} | fields)


def sent(desk: Desk, stream: str, decoder: Any, kind: Any) -> list[Any]:
    return [work for data in desk.paper.streams.get(stream, ()) if isinstance(work := decoder.decode(data), kind)]


def test_orders_are_cancelled_algos_stopped_and_everything_closed() -> None:
    desk, venue = opened()
    order(desk, "SELL", 4, "101", reduce_only=True)
    order(desk, "BUY", 2, "99")
    closer, opener = venue.take()
    venue.accept(closer)
    venue.accept(opener)
    close_all(desk)
    (first,) = venue.take()
    assert venue.cancelling == {closer, opener}
    assert venue.orders[first].quantity == 6
    (control,) = sent(desk, desk.names.requests("algos"), algos_work, ControlAlgos)
    assert (control.action, control.account_id, control.symbol) == ("stop", "a", "")
    (barrier,) = sent(desk, desk.names.urgent("orders"), order_work, RaiseBarrier)
    assert (barrier.account_id, barrier.at_ms) == ("a", 2_000_000)
    venue.fill(first)
    venue.end(closer)
    (second,) = venue.take()
    venue.fill(second)
    assert desk.result("ca") is None, "the opening order may still fill"
    venue.fill(opener)
    (third,) = venue.take()
    assert venue.orders[third].quantity == 2, "and what it opened is closed, too"
    venue.fill(third)
    done = result(desk, "ca")
    assert (done["closed"], done["total"], done["cancelled"]) == (1, 1, 1)
    assert done["results"][0]["success"]
    assert not desk.account.holdings
    assert desk.paper.hashes["closings"] == desk.paper.hashes["waits"] == {}


def test_with_nothing_open_it_is_answered_at_once() -> None:
    desk = Desk()
    close_all(desk)
    assert result(desk, "ca") == {
        "success": True,
        "requestId": "ca",
        "closed": 0,
        "total": 0,
        "cancelled": 0,
        "results": [],
    }


def test_a_position_that_is_refused_is_told_and_the_others_are_closed() -> None:
    desk, venue = opened()
    close_all(desk)
    (sent_,) = venue.take()
    venue.end(sent_, "rejected", "EXCHANGE_SYMBOL")
    (item,) = result(desk, "ca")["results"]
    assert (item["success"], item["errorCode"], item["positionId"]) == (False, "EXCHANGE_SYMBOL", position_of(desk))


def test_a_close_that_the_market_did_not_fill_goes_on() -> None:
    desk, venue = opened()
    close_all(desk)
    (first,) = venue.take()
    venue.fill(first, D(4))
    venue.end(first, "expired")
    (second,) = venue.take()
    assert venue.orders[second].quantity == 6


def test_what_was_asked_before_it_is_not_approved_after_it() -> None:
    desk, _ = opened()
    close_all(desk)
    desk.now_ms += 100
    desk.price()
    desk.ask(quantity=D(1))
    (refused,) = desk.told(ChildRefused)
    assert refused.error_code == "CANCELLED_BEFORE_SEND"
    with pytest.raises(Exception, match="CANCELLED_BEFORE_SEND"):
        order(desk, "BUY", 1, asked_ms=2_000_000)
    order(desk, "BUY", 1, asked_ms=2_000_001)


def test_children_are_held_until_the_algos_have_answered() -> None:
    desk, _ = opened()
    close_all(desk, symbol="BTCUSDT")
    late = {"client_order_id": "K2", "quantity": D(1)}
    desk.ask(at_ms=2_000_050, **late)
    assert len(desk.told(ChildRefused)) == 1, "asked for before the algos knew"
    controlled = AlgosControlled(epoch=1, n=1, token="ca", account_id="a", symbol="BTCUSDT", action="stop")
    desk.clearing.on_algos(controlled, entry(at_ms=2_000_060))
    desk.ask(at_ms=2_000_060, **late | {"client_order_id": "K3"})
    assert len(desk.told(ChildRefused)) == 2, "asked for before the answer"
    desk.ask(at_ms=2_000_061, **late | {"client_order_id": "K4"})
    assert len(desk.told(ChildRefused)) == 2


def test_children_are_held_until_the_algos_answer_and_these_are_told_again() -> None:
    """They may be down for long, and would place at once when they come back; or what they were told was lost."""
    desk, _ = opened()
    close_all(desk)
    desk.clearing.tend()
    assert len(sent(desk, desk.names.requests("algos"), algos_work, ControlAlgos)) == 1
    for again in (2, 3):
        desk.now_ms += TELL_AGAIN_MS + 1
        desk.price()
        desk.clearing.tend()
        told = sent(desk, desk.names.requests("algos"), algos_work, ControlAlgos)
        assert told == [told[0]] * again
    desk.ask(at_ms=desk.now_ms, quantity=D(1))
    assert [refused.error_code for refused in desk.told(ChildRefused)] == ["CANCELLED_BEFORE_SEND"]


def test_a_successor_knows_the_barriers_and_for_whose_answer_children_wait() -> None:
    desk, _ = opened()
    close_all(desk)
    killed = desk.paper.hashes
    desk = Desk()
    desk.price()
    desk.clearing.restore(killed[desk.clearing.key].values())
    with pytest.raises(Exception, match="CANCELLED_BEFORE_SEND"):
        order(desk, "BUY", 1, asked_ms=2_000_000)
    order(desk, "BUY", 1, asked_ms=2_000_001)
    desk.ask(at_ms=2_000_001, quantity=D(1))
    assert [refused.error_code for refused in desk.told(ChildRefused)] == ["CANCELLED_BEFORE_SEND"]
    controlled = AlgosControlled(epoch=1, n=1, token="ca", account_id="a", action="stop")
    desk.clearing.on_algos(controlled, entry(at_ms=2_000_010))
    desk.ask(at_ms=2_000_011, client_order_id="K2", quantity=D(1))
    assert "K2" in desk.account.orders
    desk.clearing.restore(desk.paper.hashes[desk.clearing.key].values())
    assert not desk.state.barriers.stops("a", "", 2_000_011, child=True), "the answer is kept, too"


def test_algos_that_may_go_on_are_not_told_again_to_pause() -> None:
    desk, _ = opened()
    desk.clearing.clear(desk.account, "BTCUSDT", desk.now_ms, "pause", "liq")
    desk.clearing.let_go_on("a", "BTCUSDT", "liq")
    desk.now_ms += TELL_AGAIN_MS + 1
    desk.clearing.tend()
    told = sent(desk, desk.names.requests("algos"), algos_work, ControlAlgos)
    assert [control.action for control in told] == ["pause", "resume"]


def test_barriers_are_bounded() -> None:
    barriers = Barriers()
    for number in range(MAX_BARRIERS):
        barriers.raise_at(str(number), "", 5)
    assert barriers.drop_oldest() is None
    barriers.raise_at("0", "", 6)
    barriers.raise_at("new", "", 6)
    assert (oldest := barriers.drop_oldest()) is not None
    assert oldest.account_id == "1"
    assert not barriers.stops("1", "X", 5, child=False)
    assert barriers.stops("0", "X", 5, child=False)


def test_another_symbol_is_left_alone() -> None:
    desk, venue = opened()
    close_all(desk, symbol="ETHUSDT")
    assert venue.take() == []
    assert result(desk, "ca")["total"] == 0
    assert desk.account.positions


def test_halted_it_is_refused() -> None:
    desk, venue = opened()
    desk.state.gates.set("", "", "halted")
    close_all(desk)
    assert result(desk, "ca")["errorCode"] == "TRADING_HALTED"
    assert venue.take() == []


def test_a_takeover_counts_as_closed() -> None:
    desk, venue = opened("0.03")
    close_all(desk)
    assert venue.take() == []
    desk.commit()
    assert result(desk, "ca")["closed"] == 1


def test_no_order_of_it_is_named_twice() -> None:
    desk, venue = opened()
    venue_of: Venue = venue
    close_all(desk)
    desk.closings.tend()
    desk.closings.tend()
    assert len(venue_of.take()) == 1
