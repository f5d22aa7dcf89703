"""Forced closes are shared pro rata by those they concern, others' executions are the house's (R-20, invariant 3)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.bus.exchange import ForeignOrder
from pms_common.contracts.bus.orders import Fill
from pms_risk.adapters.postgres import statements as sql
from pms_risk.domain.booking import Booking
from pms_risk.domain.books import Books
from pms_risk.domain.forced import book_foreign
from pms_risk.domain.house import BAD_DEBT, COMMISSION, EXTERNAL, HOUSE, POOL, netting

from .desk import Desk
from .test_books import assert_equal, opened, trade
from .world import D, Exchange, account

STEP = D("0.001")


def foreign(
    exchange: Exchange,
    kind: Any,
    side: Any,
    quantity: Any,
    price: Any,
    leg: Any = "BOTH",
    step: Decimal | None = STEP,
    **more: Any,
) -> tuple[ForeignOrder, Fill]:
    order, fill = exchange.execute("-", "BTCUSDT", side, D(quantity), D(price), leg=leg, **more)
    told = ForeignOrder(
        epoch=1,
        n=1,
        key=f"BTCUSDT:{order.exchange_order_id}:{fill.trade_id}",
        kind=kind,
        symbol="BTCUSDT",
        client_order_id="adl_autoclose",
        exchange_order_id=order.exchange_order_id or 0,
        side=side,
        position_side=leg,
        fill=fill,
        step_size=step,
        event_ms=fill.trade_ms,
    )
    return told, fill


def force(books: Books, what: tuple[ForeignOrder, Fill]) -> list[Booking]:
    return book_foreign(books, *what)


def held(books: Books, name: str, leg: Any = "BOTH") -> Any:
    return books.accounts[name].holding("BTCUSDT", leg).quantity


def test_r20_a_forced_close_is_shared_by_the_affected_side_with_its_commission() -> None:
    exchange = Exchange()
    books = opened(exchange)
    for name, side, quantity in (("a", "BUY", 2), ("b", "BUY", 1), ("c", "SELL", 1)):
        books.book(*exchange.execute(name, "BTCUSDT", side, D(quantity), D(100)))
    told, fill = foreign(exchange, "liquidation", "SELL", 1, 90, commission=D("0.03"))
    bookings = book_foreign(books, told, fill)
    assert (held(books, "a"), held(books, "b"), held(books, "c")) == (D("1.333"), D("0.667"), -1)
    assert {booking.owner: booking.paid for booking in bookings[:-1]} == {"a": D("0.02001000"), "b": D("0.00999000")}
    assert books.accounts["a"].cash == 1000 - 10 * D("0.667") - D("0.02001")
    assert_equal(books, exchange)


def test_r20_the_houses_own_position_takes_part_and_what_is_beyond_all_is_external() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    books.book(*exchange.execute("nobody", "BTCUSDT", "BUY", D(1), D(100)))
    force(books, foreign(exchange, "adl", "SELL", 5, 110))
    assert held(books, "a") == 0
    assert books.house.positions["BTCUSDT", "BOTH"].quantity == -3
    assert_equal(books, exchange)


@pytest.mark.parametrize("step", [None, D(1), STEP])
def test_r20_nothing_of_a_forced_close_is_lost_between_its_holders(step: Decimal | None) -> None:
    """Whatever is known of the step: 10 of 2.5 and 7.5 closes both, and a part of them leaves nobody a surplus."""
    for sold in (D(10), D("3.5")):
        exchange = Exchange()
        books = opened(exchange)
        for name, quantity in (("a", "2.5"), ("b", "7.5")):
            books.book(*exchange.execute(name, "BTCUSDT", "BUY", D(quantity), D(100)))
        force(books, foreign(exchange, "liquidation", "SELL", sold, 90, step=step))
        assert held(books, "a") + held(books, "b") == 10 - sold
        assert not books.house.positions
        assert_equal(books, exchange)


def test_r20_a_forced_close_is_divided_alike_before_and_after_a_start() -> None:
    """Its step comes with it: an entry left over from before is booked before the trading rules are known again."""
    before, after = Desk(), Desk()
    after.state.specs.clear()
    for desk in (before, after):
        exchange = Exchange()
        desk.price(100)
        desk.state.books.house.opened_ms = 0
        account(desk.state.books, "b")
        for name, quantity in (("a", 2), ("b", 1)):
            desk.state.books.book(*exchange.execute(name, "BTCUSDT", "BUY", D(quantity), D(100)))
        desk.hear(foreign(exchange, "liquidation", "SELL", 1, 90)[0])
        assert (held(desk.state.books, "a"), held(desk.state.books, "b")) == (D("1.333"), D("0.667"))


def test_r20_a_liquidation_of_the_houses_own_position_is_journalled_as_one() -> None:
    """The liquidation fee that comes after it, perhaps after a start, is the house's by its moves."""
    desk = Desk()
    exchange = Exchange()
    desk.state.books.house.opened_ms = 0
    desk.state.books.book(*exchange.execute("nobody", "BTCUSDT", "BUY", D(1), D(100)))
    desk.hear(foreign(exchange, "liquidation", "SELL", 1, 90)[0])
    rows = [item for item in desk.journal._waiting if not callable(item)]
    (fill,) = (row for statement, row in rows if statement is sql.FILL)
    (move,) = (row for statement, row in rows if statement is sql.MOVE)
    assert fill[3] == POOL and move[1] == HOUSE and move[-1] is True


def test_r20_hedge_mode_closes_one_leg_only() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100), leg="LONG"))
    books.book(*exchange.execute("b", "BTCUSDT", "SELL", D(2), D(100), leg="SHORT"))
    force(books, foreign(exchange, "adl", "BUY", 1, 90, leg="SHORT"))
    assert (held(books, "a", "LONG"), held(books, "b", "SHORT")) == (2, -1)
    assert_equal(books, exchange)


def test_others_executions_are_external_with_their_commission() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100)))
    for kind in ("other", "orphan"):
        force(books, foreign(exchange, kind, "SELL", 1, 110, commission=D("0.001"), asset="BNB"))
    assert held(books, "a") == 2 and books.house.positions["BTCUSDT", "BOTH"].quantity == -2
    assert books.house.cash[EXTERNAL, "BNB"] == D("-0.002")
    assert_equal(books, exchange)


def test_a_bnb_commission_is_shared_by_its_worth() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.fee_value = lambda fill: fill.commission * 600
    for name in "ab":
        books.book(*exchange.execute(name, "BTCUSDT", "BUY", D(1), D(100)))
    force(books, foreign(exchange, "adl", "SELL", 2, 100, commission=D("0.0001"), asset="BNB"))
    assert books.accounts["a"].cash == 1000 - D("0.03")
    assert books.house.cash[COMMISSION, "USDT"] == D("0.06") and books.house.cash[COMMISSION, "BNB"] == D("-0.0001")
    assert_equal(books, exchange)


def test_an_account_that_is_ruined_by_a_forced_close_leaves_bad_debt() -> None:
    exchange = Exchange()
    books = opened(exchange, "100", "100")
    for name in "ab":
        books.book(*exchange.execute(name, "BTCUSDT", "BUY", D(2), D(100)))
    force(books, foreign(exchange, "liquidation", "SELL", 4, 40))
    assert [books.accounts[name].cash for name in "ab"] == [0, 0]
    assert books.house.cash[BAD_DEBT, "USDT"] == -40
    assert not books.house.cash.get((netting("BTCUSDT"), "USDT"))
    assert_equal(books, exchange)


@pytest.mark.parametrize("mode", ["oneway", "hedge"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_r20_invariant_3_forced_closes_between_executions(mode: str, data: st.DataObject) -> None:
    exchange = Exchange()
    books = opened(exchange)
    for step in data.draw(st.lists(trade, min_size=1, max_size=25)):
        leg: Any = "BOTH" if mode == "oneway" else data.draw(st.sampled_from(["LONG", "SHORT"]))
        books.book(*exchange.execute(**step | {"symbol": "BTCUSDT"}, leg=leg))
        pooled = exchange.positions["BTCUSDT", leg][0]
        if not pooled or not data.draw(st.booleans()):
            continue
        most = int(abs(pooled) * 1000)
        closed = D(data.draw(st.integers(1, most))) / 1000
        kind = data.draw(st.sampled_from(["liquidation", "adl", "settlement", "other"]))
        side = "SELL" if pooled > 0 else "BUY"
        before = books.holders("BTCUSDT", leg)
        fee, asset = step["commission"], step["asset"]
        told, fill = foreign(exchange, kind, side, closed, step["price"], leg, commission=fee, asset=asset)
        book_foreign(books, told, fill)
        assert_equal(books, exchange)
        after = books.holders("BTCUSDT", leg)
        for name in before.keys() - {HOUSE}:
            was, now = before[name], after.get(name, D(0))
            assert abs(now) <= abs(was) and now * was >= 0, "a forced close never opens"
            if (was > 0) != (pooled > 0) or kind == "other":
                assert now == was, "the other side is not concerned"


def test_r08_r20_a_forced_close_is_booked_once_and_told_to_its_accounts() -> None:
    desk = Desk()
    desk.price(100)
    exchange = Exchange()
    desk.state.books.house.opened_ms = 0
    desk.state.books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100)))
    told, _ = foreign(exchange, "liquidation", "SELL", 2, 90)
    desk.hear(told)
    desk.hear(told, redelivered=True)
    assert desk.account.cash == 980
    assert desk.events_told() == ["position_closed"]
    (event,) = desk.told(PublicEvent)
    assert b"EXCHANGE_LIQUIDATION" in bytes(event.payload)


def test_r08_both_sides_of_a_self_match_are_booked() -> None:
    exchange = Exchange()
    books = opened(exchange)
    buy, bought = exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100))
    exchange.trades = iter([bought.trade_id])
    sell, sold = exchange.execute("b", "BTCUSDT", "SELL", D(1), D(100))
    assert bought.trade_id == sold.trade_id
    for order, fill in ((buy, bought), (sell, sold)):
        assert books.look(order, fill).name == "NEW"
        books.book(order, fill)
    assert (held(books, "a"), held(books, "b")) == (1, -1)
    assert_equal(books, exchange)
