"""Takeovers: the house takes a position, the exchange notices nothing, and nobody's cash is lost (invariant 3)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.contracts.bus.common import PublicEvent
from pms_risk.app.takeovers import Takeovers
from pms_risk.domain.books import Books
from pms_risk.domain.house import BAD_DEBT, EXTERNAL, netting
from pms_risk.domain.takeover import take_over

from .desk import Desk
from .test_books import assert_equal, opened, trade
from .world import D, Exchange


def held(books: Books, name: str, leg: Any = "BOTH") -> Any:
    return books.accounts[name].holding("BTCUSDT", leg).position


@pytest.mark.parametrize("mode", ["oneway", "hedge"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_invariant_3_takeovers_between_executions_change_nothing_at_the_exchange(
    mode: str, data: st.DataObject
) -> None:
    exchange = Exchange()
    books = opened(exchange)
    for number, step in enumerate(data.draw(st.lists(trade, min_size=2, max_size=30))):
        leg: Any = "BOTH" if mode == "oneway" else data.draw(st.sampled_from(["LONG", "SHORT"]))
        books.book(*exchange.execute(**step, leg=leg))
        positions = [(one, p) for one in books.accounts.values() for p in one.open_positions()]
        if positions and data.draw(st.booleans()):
            one, position = data.draw(st.sampled_from(positions))
            quantity = abs(position.quantity) * data.draw(st.sampled_from([D(1), D("0.5")]))
            before = books.quantities()
            take_over(books, one, position, quantity, step["price"], f"decision-{number}", number)
            assert {key: value for key, value in books.quantities().items() if value} == {
                key: value for key, value in before.items() if value
            }
        assert_equal(books, exchange)
        assert books.owners == {name: one for one in books.accounts.values() for name in one.positions}


def test_a_takeover_settles_the_account_and_netting_is_zero_when_the_house_has_closed() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100)))
    booking = take_over(books, books.accounts["a"], held(books, "a"), D(2), D(110), "r", 7)
    assert books.accounts["a"].cash == 1020 and booking.profit == 20 and not books.accounts["a"].positions
    assert books.house.positions["BTCUSDT", "BOTH"].entry_price == 110
    assert books.house.cash[netting("BTCUSDT"), "USDT"] == -20, "the exchange has realised nothing yet"
    books.book(*exchange.execute("-", "BTCUSDT", "SELL", D(2), D(90)))
    assert books.house.cash[netting("BTCUSDT"), "USDT"] == 0
    assert books.house.cash[EXTERNAL, "USDT"] == -40, "the house has lost what it bought at 110"
    assert_equal(books, exchange)


def test_what_an_account_without_a_position_owes_is_the_houses_bad_debt() -> None:
    exchange = Exchange()
    books = opened(exchange, "100")
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100)))
    booking = take_over(books, books.accounts["a"], held(books, "a"), D(2), D(40), "r", 7)
    assert [(entry.cause, entry.amount) for entry in booking.account_entries] == [
        ("realized_pnl", -120),
        ("bad_debt", 20),
    ]
    assert books.accounts["a"].cash == 0 and books.house.cash[BAD_DEBT, "USDT"] == -20
    assert_equal(books, exchange)


def test_an_account_with_another_position_may_owe_meanwhile() -> None:
    exchange = Exchange()
    books = opened(exchange, "100")
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100)))
    books.book(*exchange.execute("a", "ETHUSDT", "BUY", D(1), D(10)))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(2), D(40)))
    assert books.accounts["a"].cash == -20 and (BAD_DEBT, "USDT") not in books.house.cash
    books.book(*exchange.execute("a", "ETHUSDT", "SELL", D(1), D(25)))
    assert books.accounts["a"].cash == 0 and books.house.cash[BAD_DEBT, "USDT"] == -5
    assert_equal(books, exchange)


@pytest.mark.parametrize("quantity", [0, -1, 3])
def test_no_more_than_the_position_is_taken(quantity: int) -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100)))
    with pytest.raises(ValueError, match="cannot take"):
        take_over(books, books.accounts["a"], held(books, "a"), D(quantity), D(100), "r", 1)


def test_a_takeover_is_told_with_its_reason_and_price() -> None:
    desk = Desk()
    desk.price(100)
    exchange = Exchange()
    desk.state.books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(3), D(100)))
    takeovers = Takeovers(desk.state, desk.journal, desk.events)
    for quantity in (1, 2):
        takeovers.take(desk.account, held(desk.state.books, "a"), D(quantity), D(90), f"request-{quantity}", 5)
    told = [bytes(event.payload) for event in desk.told(PublicEvent)]
    assert desk.events_told() == ["position_reduced", "position_closed"]
    assert all(b'"reason":"TAKEOVER"' in payload for payload in told)
    assert b'"closePrice":"90"' in told[1] or b'"closePrice":90' in told[1]
    assert desk.account.cash == 1030
