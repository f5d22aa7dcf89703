"""The first look at the exchange: what it holds beyond the books becomes the house's."""

from pms_risk.domain.books import Books
from pms_risk.domain.house import CAPITAL, EXTERNAL
from pms_risk.domain.opening import open_house

from .test_books import assert_equal
from .world import D, Exchange, account, position_id


def test_the_first_look_at_an_empty_wallet_is_remembered_too() -> None:
    books = Books(position_id)
    entries, _ = open_house(books, Exchange(wallets={}).facts())
    assert [(entry.asset, entry.cause, entry.amount) for entry in entries] == [("USDT", "opening_wallet", 0)]


def test_first_look_at_the_exchange() -> None:
    exchange = Exchange()
    exchange.execute("-", "BTCUSDT", "BUY", D(2), D(100))
    books = Books(position_id)
    entries, positions = open_house(books, exchange.facts())
    assert {(entry.holder, entry.asset, entry.cause) for entry in entries} == {
        (CAPITAL, "USDT", "opening_wallet"),
        (CAPITAL, "BNB", "opening_wallet"),
    }
    assert [(p.symbol, p.quantity) for p in positions] == [("BTCUSDT", 2)]
    account(books, "a", "600000")
    assert books.house.free() == 400_000
    assert_equal(books, exchange)


def test_a_position_found_at_the_first_look_is_closed_to_the_wallets_unit_whatever_its_average_price() -> None:
    exchange = Exchange()
    exchange.execute("-", "BTCUSDT", "BUY", D(1), D(100))
    exchange.execute("-", "BTCUSDT", "BUY", D(2), D(101))
    books = Books(position_id)
    open_house(books, exchange.facts())
    books.book(*exchange.execute("-", "BTCUSDT", "SELL", D(3), D(90)))
    assert books.house.cash[EXTERNAL, "USDT"] == D(-32)
    assert_equal(books, exchange)
