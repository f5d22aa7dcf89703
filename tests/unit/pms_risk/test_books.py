"""Conservation: accounts and house add up to the exchange, whoever trades against whom (invariants 3 and 4)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_risk.domain.books import Books
from pms_risk.domain.fees import at_mark
from pms_risk.domain.fills import FillMemory, Seen
from pms_risk.domain.house import COMMISSION, EXTERNAL, HOUSE, netting
from pms_risk.domain.ledger import UnbalancedError, post
from pms_risk.domain.opening import open_house
from pms_risk.domain.reconciliation import Reconciliation

from .world import D, Exchange, account, position_id

SYMBOLS = ("BTCUSDT", "ETHUSDT")
trade = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(["a", "b", "c", "nobody"]),
        "symbol": st.sampled_from(SYMBOLS),
        "side": st.sampled_from(["BUY", "SELL"]),
        "quantity": st.integers(1, 3000).map(lambda n: D(n) / 1000),
        "price": st.integers(500_000, 700_000).map(lambda n: D(n) / 10),
        "commission": st.integers(0, 500_000).map(lambda n: D(n) / 10**6),
        "asset": st.sampled_from(["USDT", "USDT", "BNB"]),
        "reduce_only": st.booleans(),
        "leverage": st.integers(1, 125).map(D),
    }
)


def opened(exchange: Exchange, *cash: str) -> Books:
    books = Books(position_id)
    open_house(books, exchange.facts())
    for name, amount in zip("abc", cash or ("1000", "2000", "3000"), strict=False):
        account(books, name, amount)
    return books


def assert_equal(books: Books, exchange: Exchange) -> None:
    reconciliation = Reconciliation()
    reconciliation.take(exchange.facts(), 0)
    assert reconciliation.compare(books) == frozenset()
    for asset, wallet in exchange.wallets.items():
        assert books.cash(asset) == wallet


@pytest.mark.parametrize("mode", ["oneway", "hedge"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_r18_r33_books_equal_exchange_after_every_execution(mode: str, data: st.DataObject) -> None:
    """R-18, R-33, invariant 3: random accounts on opposite sides, after every step and to the last decimal."""
    exchange = Exchange()
    books = opened(exchange)
    ledger: dict[tuple[str, str], Decimal] = {}
    for entry in books.house.cash:
        ledger[entry] = books.house.cash[entry]
    for one in books.accounts.values():
        ledger[one.id, "USDT"] = one.cash
    for step in data.draw(st.lists(trade, min_size=1, max_size=40)):
        leg: Any = "BOTH" if mode == "oneway" else data.draw(st.sampled_from(["LONG", "SHORT"]))
        order, fill = exchange.execute(**step, leg=leg)
        booking = books.book(order, fill)
        for change in (*booking.account_entries, *booking.house_entries):
            assert change.before == ledger.get((change.holder, change.asset), D(0))
            ledger[change.holder, change.asset] = change.after
            assert change.after - change.before == change.amount
        assert_equal(books, exchange)
        assert books.look(order, fill) is Seen.BOOKED
        assert books.owners == {name: one for one in books.accounts.values() for name in one.positions}
    for one in books.accounts.values():
        assert one.cash == ledger[one.id, "USDT"], "a balance is the sum of its entries"


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_netting_is_near_zero_when_a_symbol_is_flat_everywhere(data: st.DataObject) -> None:
    exchange = Exchange()
    books = opened(exchange)
    steps = data.draw(st.lists(trade, min_size=1, max_size=30))
    for step in steps:
        books.book(*exchange.execute(**step | {"symbol": "BTCUSDT", "account_id": step["account_id"]}))
    executions = len(steps)
    for owner in [*books.accounts.values()]:
        for position in list(owner.open_positions()):
            side: Any = "SELL" if position.quantity > 0 else "BUY"
            books.book(*exchange.execute(owner.id, "BTCUSDT", side, abs(position.quantity), D(60_000)))
            executions += 1
    for position in list(books.house.positions.values()):
        side = "SELL" if position.quantity > 0 else "BUY"
        books.book(*exchange.execute("nobody", "BTCUSDT", side, abs(position.quantity), D(60_000)))
        executions += 1
    assert not any(books.quantities().values())
    # the exchange rounds the profit of each execution to the wallet's unit
    assert abs(books.house.cash.get((netting("BTCUSDT"), "USDT"), D(0))) <= executions * D("1E-8")


def test_opposite_accounts_net_at_the_exchange_and_keep_their_own_profit() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    books.book(*exchange.execute("b", "BTCUSDT", "SELL", D(1), D(110)))
    assert exchange.positions["BTCUSDT", "BOTH"][0] == 0
    assert books.house.cash[netting("BTCUSDT"), "USDT"] == 10, "realised by the exchange, by no account yet"
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(130)))
    books.book(*exchange.execute("b", "BTCUSDT", "BUY", D(1), D(130)))
    assert books.accounts["a"].cash == 1030
    assert books.accounts["b"].cash == 1980
    assert books.house.cash[netting("BTCUSDT"), "USDT"] == 0
    assert_equal(books, exchange)


def test_unknown_owner_goes_to_the_external_book() -> None:
    exchange = Exchange()
    books = opened(exchange)
    booking = books.book(*exchange.execute("stranger", "BTCUSDT", "BUY", D(1), D(100), commission=D("0.04")))
    assert booking.owner == HOUSE
    assert books.house.cash[EXTERNAL, "USDT"] == D("-0.04")
    assert books.house.positions["BTCUSDT", "BOTH"].quantity == 1
    assert_equal(books, exchange)


def test_invariant_4_a_reduce_only_execution_beyond_the_position_goes_to_the_house() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    booking = books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(3), D(110), reduce_only=True))
    assert booking.excess == 2
    assert booking.profit == 10
    assert not books.accounts["a"].positions
    assert books.house.positions["BTCUSDT", "BOTH"].quantity == -2
    assert_equal(books, exchange)


def test_hedge_legs_are_booked_apart() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), leg="LONG"))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(120), leg="SHORT"))
    assert sorted(p.side for p in books.accounts["a"].open_positions()) == ["LONG", "SHORT"]
    assert books.accounts["a"].cash == 1000
    assert_equal(books, exchange)


def test_a_commission_in_another_asset_is_paid_by_its_worth() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.fee_value = lambda fill: at_mark(fill, D("600.5"))
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    booking = books.book(
        *exchange.execute("a", "BTCUSDT", "SELL", D(1), D(110), commission=D("0.00012345"), asset="BNB")
    )
    assert books.accounts["a"].cash == 1010 - D("0.07413172") and booking.profit == 10 - D("0.07413172")
    assert books.house.cash[COMMISSION, "USDT"] == D("0.07413172")
    assert books.house.cash[COMMISSION, "BNB"] == D("-0.00012345")
    assert len({(entry.key, entry.holder) for entry in booking.house_entries}) == len(booking.house_entries)
    assert_equal(books, exchange)


def test_without_a_mark_a_commission_is_worth_what_it_costs_in_usdt() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), commission=D("0.001"), asset="BNB"))
    assert books.accounts["a"].cash == 1000 - D("0.02"), "the maker's 0.02 % of 100"
    assert books.house.cash[COMMISSION, "BNB"] == D("-0.001")
    assert_equal(books, exchange)


def test_transfer_is_two_entries_with_one_key() -> None:
    books = opened(Exchange())
    credit, debit = books.transfer(books.accounts["a"], D("12.5"), "r1", 7)
    assert (credit.amount, debit.amount) == (D("12.5"), D("-12.5"))
    assert credit.key == debit.key
    later, _ = books.transfer(books.accounts["a"], D("12.5"), "r1", 86_400_008)
    assert later.key != credit.key, "a request id may be used again after a day, the ledger remembers for ever"


def test_ledger_refuses_what_it_cannot_hold_exactly() -> None:
    with pytest.raises(UnbalancedError):
        post(D("1E20"), D("1E-20"), "k", "a", "USDT", "deposit", "r", 1)


def test_r08_fill_memory_is_bounded_and_says_what_it_cannot_know() -> None:
    memory = FillMemory(max_keys=3)
    for trade_id in range(1, 6):
        assert memory.look(("S", trade_id, 1), trade_id * 10) is Seen.NEW
        memory.remember(("S", trade_id, 1), trade_id * 10)
    assert memory.look(("S", 5, 1), 50) is Seen.BOOKED
    assert memory.look(("S", 2, 1), 20) is Seen.OLD
    assert memory.look(("S", 5, 2), 50) is Seen.NEW, "the other side of a self-match"
