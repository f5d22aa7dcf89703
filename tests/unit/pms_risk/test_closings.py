"""Closing: the orders of a close, how it ends and what it is answered; of several at once each closes its part."""

from typing import Any

import pytest

from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, snapshot_request
from pms_risk.domain.closing import Closing

from .closing_steps import close, closer, opened, order, position_of, result
from .desk import Desk
from .venue import Venue
from .world import D, account, spec


def test_of_two_closes_at_once_one_settles() -> None:
    """The earlier engine sent and settled both (its defect A11)."""
    desk, venue = opened("2")
    close(desk, "c1")
    close(desk, "c2")
    (only,) = venue.take()
    venue.fill(only, price=D(110))
    assert venue.take() == []
    assert result(desk, "c1")["newBalance"] == 10_020
    assert result(desk, "c2")["errorCode"] == "POSITION_CLOSED"


def test_two_partial_closes_add_up() -> None:
    desk, venue = opened()
    close(desk, "c1", quantity=5)
    close(desk, "c2", fraction=0.5)
    for sent in venue.take():
        venue.fill(sent)
    assert [result(desk, name)["trade"]["quantity"] for name in ("c1", "c2")] == [5, 5]
    assert not desk.account.positions


def test_a_second_close_goes_out_where_the_first_is_refused() -> None:
    desk, venue = opened()
    close(desk, "c1")
    close(desk, "c2")
    (first,) = venue.take()
    venue.end(first, "rejected", "EXCHANGE_RATE_LIMITED")
    assert result(desk, "c1")["errorCode"] == "EXCHANGE_RATE_LIMITED"
    (second,) = venue.take()
    venue.fill(second)
    assert result(desk, "c2")["success"]


def test_r33_a_close_that_is_proven_absent_goes_out_as_its_next_attempt() -> None:
    desk, venue = opened()
    close(desk)
    (first,) = venue.take()
    venue.end(first, "failed", "EXPIRED_COMMAND")
    (second,) = venue.take()
    assert first != second
    assert second in desk.paper.hashes["closings"].popitem()[1].decode(), "kept before it can be used"
    venue.fill(second)
    assert result(desk)["trade"]["quantity"] == 10


def test_a_close_that_is_too_late_is_not_sent_again() -> None:
    desk, venue = opened()
    close(desk)
    (first,) = venue.take()
    desk.now_ms += 60_001
    venue.end(first, "failed", "EXPIRED_COMMAND")
    assert venue.take() == []
    assert result(desk)["errorCode"] == "EXPIRED_COMMAND"


def test_a_part_too_small_for_the_exchange_is_refused() -> None:
    desk, _ = opened()
    close(desk, quantity=0.01)
    assert result(desk)["errorCode"] == "EXCHANGE_MIN_NOTIONAL"


def test_a_position_above_the_exchange_maximum_is_closed_in_parts() -> None:
    desk, venue = opened("90", cash=100_000)
    desk.state.specs["BTCUSDT"] = spec(market_max_quantity=D(40))
    close(desk)
    sent = venue.take()
    assert [venue.orders[name].quantity for name in sent] == [40, 40, 10]
    for name in sent:
        venue.fill(name)
    assert result(desk)["trade"]["quantity"] == 90


def test_a_liquidation_takes_over_what_another_close_has_not_sent() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk)
    desk.state.gates.set("", "", "halted")
    liquidation = Closing(
        key="liq",
        account_id="a",
        symbol="BTCUSDT",
        leg="BOTH",
        position_id=position_of(desk),
        seed="liq",
        origin="LIQUIDATION",
        unsent=None,
    )
    desk.closings.begin(liquidation)
    venue.end(resting)
    (sent,) = venue.take()
    assert venue.placed[-1].origin == "LIQUIDATION"
    venue.fill(sent)
    assert not desk.account.positions
    assert result(desk)["errorCode"] == "POSITION_CLOSED"


def test_a_halt_stops_a_close_that_waits() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk)
    venue.take()
    desk.state.gates.set("", "", "halted")
    venue.end(resting)
    assert venue.take() == []
    assert result(desk)["errorCode"] == "TRADING_HALTED"


def test_an_order_that_nobody_knows_any_more_goes_out_again() -> None:
    desk, venue = opened()
    close(desk)
    (first,) = venue.take()
    lost = desk.account.drop_order(first)
    assert lost is not None
    desk.closings.lost(lost)
    (second,) = venue.take()
    assert venue.orders[second].quantity == 10


@pytest.mark.parametrize("mode", ["oneway", "hedge"])
def test_r21_accounts_on_opposite_sides_both_close(mode: Any) -> None:
    desk, venue = Desk(10_000), None
    desk.state.mode = mode
    desk.price()
    venue = Venue(desk)
    other = account(desk.state.books, "b", 10_000)
    other.set_rules(desk.account.rules)
    order(desk, "BUY", 5)
    order(desk, "SELL", 5, account=other)
    for name in venue.take():
        venue.fill(name)
    for owner in (desk.account, other):
        (position,) = owner.positions
        desk.send(desk.closes.close, "close", requestId=f"c-{owner.id}", positionId=position)
        (sent,) = venue.take()
        assert not venue.placed[-1].reduce_only_on_venue
        venue.fill(sent)
        assert result(desk, f"c-{owner.id}")["position"]["status"] == "CLOSED"
    assert desk.state.books.quantities() == {}


@pytest.mark.parametrize("executed", [0, 1, 5])
def test_a_part_whose_order_ended_unseen_is_answered_with_what_it_has_closed(executed: int) -> None:
    """Its end was lost with its stream; a snapshot tells every execution again, and no such order."""
    desk, venue = opened()
    close(desk, fraction=0.5)
    (name,) = venue.take()
    if executed < 5:
        venue.accept(name)
    if executed:
        venue.fill(name, D(executed))
    if executed < 5:
        assert desk.result("c") is None
        desk.orders_updates.ask_snapshot()
        asked = snapshot_request.decode(desk.paper.streams[desk.names.queries("orders")][-1])
        venue._n += 2
        desk.hear(SnapshotBegin(epoch=1, n=venue._n - 1, asker="risk", token=asked.token))
        desk.hear(SnapshotEnd(epoch=1, n=venue._n, asker="risk", token=asked.token))
    assert name not in desk.account.orders
    assert result(desk)["success"] is bool(executed)
    assert desk.account.holding("BTCUSDT", "BOTH").quantity == 10 - executed
    told = [type_ for type_ in desk.events_told() if type_ in ("order_filled", "order_cancelled")]
    assert told[1:] == ["order_filled" if executed == 5 else "order_cancelled"]
    close(desk, "again")
    assert [venue.orders[again].quantity for again in venue.take()] == [10 - executed]
