"""Closing: nobody closes a position twice, and everybody can always close theirs (invariant 4)."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, snapshot_request
from pms_common.contracts.errors import CommandError
from pms_risk.app.approvals import Ask
from pms_risk.app.giving_way import ASK_AGAIN_MS, UNHEARD_MS
from pms_risk.app.waits import Waits
from pms_risk.domain.closing import Closing

from .desk import Desk, entry
from .test_forced import foreign
from .venue import Venue
from .world import D, account, spec


def opened(quantity: str = "10", cash: int = 10_000, mode: Any = "oneway") -> tuple[Desk, Venue]:
    """An account with a long position, and everything taken that was sent for it."""
    desk = Desk(cash)
    desk.state.mode = mode
    desk.price()
    venue = Venue(desk)
    order(desk, "BUY", max(D(quantity), D(1)))
    (name,) = venue.take()
    venue.fill(name, D(quantity))
    if name in venue.live:
        venue.end(name)
    return desk, venue


def order(desk: Desk, side: Any, quantity: Decimal | str | int, price: str | None = None, **changes: Any) -> None:
    """A plain order of the account."""
    order.number += 1  # type: ignore[attr-defined]
    fields: dict[str, Any] = {
        "account": desk.account,
        "spec": desk.state.spec("BTCUSDT"),
        "side": side,
        "quantity": D(quantity),
        "leverage": D(10),
        "order_type": "MARKET" if price is None else "LIMIT",
        "price": D(price) if price is not None else None,
        "request_id": f"o{order.number}",  # type: ignore[attr-defined]
    }
    desk.approvals.approve(Ask(**(fields | changes)))


order.number = 0  # type: ignore[attr-defined]


def position_of(desk: Desk) -> str:
    (position,) = desk.account.positions
    return position


def close(desk: Desk, request_id: str = "c", **fields: Any) -> None:
    desk.send(desk.closes.close, "close", requestId=request_id, positionId=position_of(desk), **fields)


def result(desk: Desk, request_id: str = "c") -> dict[str, Any]:
    found = desk.result(request_id)
    assert found is not None, "not answered yet"
    return found


def test_a_close_takes_the_quantity_of_a_resting_closer_and_waits_for_what_that_may_still_fill() -> None:
    desk, venue = opened()
    order(desk, "SELL", 4, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 4, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    close(desk, fraction=0.4)
    assert venue.take() == []
    venue.refuse_amend(resting)
    venue.take()
    assert venue.cancelling == {resting}
    venue.end(resting)
    (sent,) = venue.take()
    assert venue.orders[sent].quantity == 4


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


def test_a_position_too_small_for_the_exchange_goes_to_the_house_at_the_mark() -> None:
    desk, venue = opened("0.03")
    close(desk)
    assert venue.take() == []
    assert desk.result("c") is None, "not before the database has it"
    desk.commit()
    done = result(desk)
    assert (done["clientOrderId"], done["position"]["status"], done["trade"]["price"]) == (None, "CLOSED", 100)
    assert desk.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D("0.03")
    assert desk.state.books.quantities() == {("BTCUSDT", "BOTH"): D("0.03")}
    assert desk.paper.hashes["closings"] == {}


def test_a_takeover_that_was_told_is_booked_as_told_by_the_next_process() -> None:
    desk, _ = opened("0.03")
    close(desk)
    kept = dict(desk.paper.hashes["closings"])
    before, _ = opened("0.03")
    before.price(110.0)  # what the database held, and a price at which it could be sold
    successor = before.new_closings()
    successor.restore([value.replace(position_of_kept(value), position_of(before).encode()) for value in kept.values()])
    successor.resume()
    assert not before.account.positions
    assert before.account.cash == 10_000


def position_of_kept(value: bytes) -> bytes:
    return str(json.loads(value)["take_position"]).encode()


def test_what_is_left_too_small_by_a_closer_goes_to_the_house() -> None:
    desk, venue = opened("1")
    order(desk, "SELL", 1, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    close(desk)
    venue.fill(resting, D("0.97"), D(101))
    venue.end(resting)
    assert venue.take() == []
    desk.commit()
    assert result(desk)["trade"]["quantity"] == 0.03


def test_a_close_whose_order_was_never_sent_and_whose_position_the_house_took_has_closed_it() -> None:
    desk, venue = opened("0.06")
    close(desk)
    (sent,) = venue.take()
    desk.price(80.0)  # 4.8 of notional are too few to be sent again
    venue.end(sent, "failed", "EXPIRED_COMMAND")
    desk.commit()
    done = result(desk)
    assert (done["position"]["status"], done["trade"]["quantity"], done["trade"]["price"]) == ("CLOSED", 0.06, 80)


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


def test_a_liquidation_takes_over_what_another_close_has_not_sent() -> None:
    desk, venue = opened()
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    close(desk)
    venue.take()
    desk.state.gates.set("", "", "halted")
    venue.end(resting)
    assert venue.take() == []
    assert result(desk)["errorCode"] == "TRADING_HALTED"


def test_a_close_survives_a_restart_between_its_orders() -> None:
    desk, venue = opened()
    order(desk, "SELL", 4, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    close(desk)
    (first,) = venue.take()
    restart(desk)
    venue.end(resting)
    (rest,) = venue.take()
    venue.fill(first)
    venue.fill(rest)
    assert result(desk)["trade"]["quantity"] == 10


def restart(desk: Desk, *, resume: bool = True) -> None:
    """kill -9: books and reservations come back from elsewhere, closes and waits from what was kept."""
    desk.waits = Waits(desk.state, desk.paper, desk.answers, "waits")  # type: ignore[arg-type]
    desk.closings = desk.new_closings()
    desk.feed._waits, desk.feed._closings = desk.waits, desk.closings
    desk.closes._waits, desk.closes._closings = desk.waits, desk.closings
    desk.children._closings = desk.closings
    desk.waits.restore(list(desk.paper.hashes.get("waits", {}).values()))
    desk.closings.restore(list(desk.paper.hashes.get("closings", {}).values()))
    if resume:
        desk.closings.resume()


def test_an_order_proven_absent_while_the_successor_starts_goes_out_again() -> None:
    """Order service and risk are killed together: the proof comes before risk has heard of everything."""
    desk, venue = opened()
    close(desk)
    (first,) = venue.take()
    restart(desk, resume=False)
    venue.end(first, "failed", "EXPIRED_COMMAND")
    assert venue.take() == []
    desk.closings.resume()
    (second,) = venue.take()
    venue.fill(second)
    assert result(desk)["trade"]["quantity"] == 10


def test_an_order_that_nobody_knows_any_more_goes_out_again() -> None:
    desk, venue = opened()
    close(desk)
    (first,) = venue.take()
    lost = desk.account.drop_order(first)
    assert lost is not None
    desk.closings.lost(lost)
    (second,) = venue.take()
    assert venue.orders[second].quantity == 10


def test_a_closer_that_the_exchange_would_not_cancel_is_asked_again() -> None:
    desk, venue = opened()
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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


def test_a_fill_that_no_database_has_counts_once_in_the_answer_of_the_next_process() -> None:
    def closing() -> tuple[Desk, Venue, list[str]]:
        desk, venue = opened("80", cash=100_000)
        desk.state.specs["BTCUSDT"] = spec(market_max_quantity=D(40))
        close(desk)
        return desk, venue, venue.take()

    killed, venue, (first, _) = closing()
    venue.fill(first, price=D(110), fee=D(1))
    desk, venue, sent = closing()  # what the database had
    desk.paper.hashes["waits"] = killed.paper.hashes["waits"]
    restart(desk)
    for name in sent:
        venue.fill(name, price=D(110), fee=D(1))
    trade = result(desk)["trade"]
    assert (trade["realizedPnl"], trade["fee"]) == (798, 2)


def reduce_by_adl(desk: Desk, venue: Venue, quantity: int) -> None:
    desk.state.books.house.opened_ms = 0
    desk.foreign.on_foreign(foreign(venue.exchange, "adl", "SELL", quantity, 100)[0], entry())


def test_what_fills_at_once_is_left_its_part_of_a_position_that_the_exchange_made_smaller() -> None:
    desk, venue = opened()
    order(desk, "SELL", 6, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
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
    order(desk, "SELL", 6, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    desk.state.specs.clear()
    reduce_by_adl(desk, venue, 5)
    venue.take()
    assert (venue.amending, venue.cancelling) == ({}, {resting})


def test_a_close_of_a_symbol_that_is_listed_no_more_ends_with_that_word() -> None:
    desk, venue = opened()
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    close(desk)
    restart(desk, resume=False)
    desk.state.specs = {"ETHUSDT": spec("ETHUSDT")}
    venue.end(resting)
    desk.closings.resume()
    assert result(desk)["errorCode"] == "SYMBOL_UNKNOWN"


def test_a_closer_that_was_made_smaller_is_its_owners_again() -> None:
    desk, venue = opened()
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    close(desk, fraction=0.4)
    venue.take()
    assert desk.closings.way.gives_way(resting)
    venue.amend(resting, D(6))
    assert not desk.closings.way.gives_way(resting)


def test_orders_that_ended_unheard_are_not_remembered() -> None:
    desk, venue = opened()
    order(desk, "SELL", 10, "101", reduce_only=True)
    (resting,) = venue.take()
    venue.accept(resting)
    close(desk)
    desk.account.drop_order(resting)
    desk.closings.tend()
    assert not desk.closings.way.gives_way(resting)


def close_all(desk: Desk) -> None:
    desk.send(desk.closes.close_all, "close_all", requestId="c", subAccountId="a")


def test_a_takeover_done_again_takes_what_was_told_though_more_is_held_by_then() -> None:
    desk, _ = opened("0.03")
    close_all(desk)
    killed, venue = opened("0.03")  # the takeover was not committed; an order that was on its way fills
    killed.paper.hashes = {name: dict(kept) for name, kept in desk.paper.hashes.items()}
    order(killed, "BUY", 10)
    (bought,) = venue.take()
    venue.fill(bought)
    (kept,) = killed.paper.hashes["closings"].values()
    assert position_of(killed) == position_of_kept(kept).decode()
    restart(killed)
    killed.commit()
    assert killed.account.holding("BTCUSDT", "BOTH").quantity == 10
    assert killed.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D("0.03")
    assert killed.paper.hashes["closings"] == {}


def test_a_takeover_that_was_committed_does_not_take_the_next_position() -> None:
    desk, venue = opened("0.03")
    close_all(desk)
    order(desk, "BUY", 10)
    (bought,) = venue.take()
    venue.fill(bought)
    restart(desk)
    desk.commit()
    assert desk.account.holding("BTCUSDT", "BOTH").quantity == 10
    assert result(desk)["success"]
    assert desk.paper.hashes["closings"] == {}


def test_a_takeover_that_was_committed_is_answered_by_the_next_process() -> None:
    desk, _ = opened("0.03")
    close(desk)
    restart(desk)  # the books have it, the answer was not given
    assert result(desk)["trade"]["quantity"] == 0.03


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


class Closers(RuleBasedStateMachine):
    """Orders, closes and limit closes of one account; the exchange does what it likes with them; risk is killed."""

    mode: Any = "oneway"

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(10**7)
        self.desk.state.mode = self.mode
        self.desk.price()
        self.venue = Venue(self.desk)
        self.requests = 0

    @rule(side=st.sampled_from(["BUY", "SELL"]), quantity=st.integers(1, 20), limit=st.booleans(), only=st.booleans())
    def order(self, side: Any, quantity: int, limit: bool, only: bool) -> None:
        try:
            order(self.desk, side, quantity, "100" if limit else None, reduce_only=only)
        except CommandError:
            return
        self.venue.take()

    @precondition(lambda self: self.desk.account.positions)
    @rule(data=st.data(), fraction=st.sampled_from([1, 0.5, 0.1]), limit=st.booleans())
    def close(self, data: st.DataObject, fraction: float, limit: bool) -> None:
        self.requests += 1
        position = data.draw(st.sampled_from(sorted(self.desk.account.positions)))
        named: dict[str, Any] = {"requestId": f"c{self.requests}", "positionId": position}
        if limit:
            self.desk.send(self.desk.closes.limit_close, "limit_close", price=100, **named)
        else:
            self.desk.send(self.desk.closes.close, "close", fraction=fraction, **named)
        self.venue.take()

    @precondition(lambda self: self.venue.live)
    @rule(data=st.data(), what=st.sampled_from(["accept", "fill", "part", "end", "reject", "absent"]))
    def happens(self, data: st.DataObject, what: str) -> None:
        venue = self.venue
        name = data.draw(st.sampled_from(venue.live))
        view = venue.orders[name]
        left = view.quantity - view.executed_quantity
        if name in venue.amending and data.draw(st.booleans()):
            quantity = venue.amending.pop(name)
            if quantity > view.executed_quantity and data.draw(st.booleans()):
                venue.amend(name, quantity)
            else:
                venue.refuse_amend(name)
        elif what == "accept" and view.state == "placing":
            venue.accept(name)
        elif what == "fill":
            venue.fill(name)
        elif what == "part" and left > 1:
            venue.fill(name, Decimal(data.draw(st.integers(1, int(left)))))
        elif what == "end":
            venue.end(name)
        elif what in ("reject", "absent") and view.state == "placing":
            state, code = ("rejected", "EXCHANGE_REJECTED") if what == "reject" else ("failed", "EXPIRED_COMMAND")
            venue.end(name, state, code)
        venue.take()

    @rule()
    def killed(self) -> None:
        restart(self.desk)
        self.venue.take()

    @invariant()
    def nobody_closes_what_is_not_there(self) -> None:
        desk = self.desk
        for holding in desk.account.holdings.values():
            for side in ("BUY", "SELL"):
                orders = holding.side(side)
                if orders.reduce_only or (
                    holding.leg != "BOTH" and side == ("SELL" if holding.leg == "LONG" else "BUY")
                ):
                    assert orders.quantity <= holding.closable(side)
        assert ("BTCUSDT", "BOTH") not in desk.state.books.house.positions, "an execution beyond its position"

    def teardown(self) -> None:
        """Whoever closed is answered once the exchange has ended everything."""
        for _ in range(1000):
            if not self.venue.live:
                break
            self.venue.end(self.venue.live[0])
            self.venue.take()
        self.desk.commit()
        self.desk.closings.tend()
        assert not self.venue.live
        for number in range(1, self.requests + 1):
            assert self.desk.result(f"c{number}") is not None, "everybody is answered"
        assert not self.desk.paper.hashes.get("closings")


class HedgeClosers(Closers):
    mode = "hedge"


TestInvariant4 = Closers.TestCase
TestInvariant4.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestInvariant4Hedge = HedgeClosers.TestCase
TestInvariant4Hedge.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)


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


def test_a_successor_cancels_again_what_a_close_of_everything_waits_for() -> None:
    """What its predecessor was answered is not known: the exchange may have refused."""
    desk, venue = opened()
    order(desk, "BUY", 2, "99")
    (opener,) = venue.take()
    venue.accept(opener)
    close_all(desk)
    venue.take()
    assert venue.cancelling == {opener}
    venue.cancelling.clear()
    restart(desk)
    venue.take()
    assert venue.cancelling == {opener}
