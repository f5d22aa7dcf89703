"""Funding and the exchange's other payments: every one has its place in the books, once (R-33, invariant 3)."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.bus.exchange import CashFlow, CashFlows, FundingRate, FundingRates
from pms_common.contracts.bus.orders import Fill
from pms_risk.domain.books import Books
from pms_risk.domain.cashflows import book_flow, book_funding
from pms_risk.domain.forced import book_foreign
from pms_risk.domain.funding import Funding
from pms_risk.domain.house import BAD_DEBT, CAPITAL, EXTERNAL, INCOME, INSURANCE, ROUNDING
from pms_risk.domain.moves import Moves
from pms_risk.domain.takeover import take_over

from .desk import Desk, entry
from .test_books import assert_equal, opened, trade
from .test_forced import foreign
from .world import D, Exchange

RATE = D("0.0001")


def flow(kind: str, amount: Any, number: int = 1, symbol: str = "", asset: str = "USDT", at_ms: int = 9) -> CashFlow:
    return CashFlow(flow_id=number, kind=kind, amount=D(amount), asset=asset, symbol=symbol, time_ms=at_ms)


def pay(exchange: Exchange, books: Books, paid: CashFlow) -> list[Any]:
    exchange.wallets[paid.asset] = exchange.wallets.get(paid.asset, D(0)) + paid.amount
    return book_flow(books, paid)


def traded_at(fill: Fill, at_ms: int) -> Fill:
    return msgspec.structs.replace(fill, trade_ms=at_ms)


def fund(exchange: Exchange, books: Books, rate: Decimal, mark: Any, at_ms: int) -> None:
    """As the exchange does it: one payment on each leg of the pooled position."""
    funding = Funding("BTCUSDT", rate, D(mark), at_ms)
    assert books.fundings.settle(funding)
    book_funding(books, funding)
    for number, leg in enumerate(("BOTH", "LONG", "SHORT")):
        pooled = exchange.positions.get(("BTCUSDT", leg), (D(0), D(0)))[0]
        if pooled:
            paid = flow("FUNDING_FEE", funding.payment(pooled), at_ms * 10 + number, "BTCUSDT", at_ms=at_ms)
            pay(exchange, books, paid)


def test_r33_funding_is_each_holders_own_even_where_the_exchange_pays_nothing() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    books.book(*exchange.execute("b", "BTCUSDT", "SELL", D(1), D(100)))
    fund(exchange, books, D("0.001"), 200, 50)
    assert (books.accounts["a"].cash, books.accounts["b"].cash) == (D("999.8"), D("2000.2"))
    assert books.house.cash.get((ROUNDING, "USDT"), D(0)) == 0
    assert_equal(books, exchange)


def test_r33_what_rounding_leaves_is_the_houses() -> None:
    exchange = Exchange()
    books = opened(exchange)
    for name in "abc":
        books.book(*exchange.execute(name, "BTCUSDT", "BUY", D("0.001"), D(100)))
    fund(exchange, books, RATE, "100.00005", 50)
    assert [books.accounts[name].cash - start for name, start in (("a", 1000), ("b", 2000), ("c", 3000))] == [
        D("-0.00001000")
    ] * 3
    assert books.house.cash[ROUNDING, "USDT"] == 0
    assert_equal(books, exchange)
    fund(exchange, books, RATE, "100.00035", 60)  # 0.0000100000350 each, 0.000030000105 together
    assert abs(books.house.cash[ROUNDING, "USDT"]) <= D("2E-8")
    assert_equal(books, exchange)


def test_funding_counts_positions_as_of_its_instant() -> None:
    exchange = Exchange()
    books = opened(exchange)
    before, after, late = (exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)) for _ in range(3))
    books.book(*before)  # traded at 1
    books.book(*after)  # traded at 2, after the instant
    books.fundings.settle(Funding("BTCUSDT", RATE, D(100), 1))
    book_funding(books, Funding("BTCUSDT", RATE, D(100), 1))
    assert books.accounts["a"].cash == 1000 - D("0.01")
    booking = books.book(late[0], traded_at(late[1], 1))  # traded at the instant, heard of last
    assert books.accounts["a"].cash == 1000 - D("0.02")
    assert [entry.cause for entry in booking.account_entries] == ["funding"]


def test_funding_follows_a_position_that_was_taken_over_since() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    position = books.accounts["a"].holding("BTCUSDT", "BOTH").position
    assert position is not None
    take_over(books, books.accounts["a"], position, D(1), D(100), "r", 70)
    fund(exchange, books, RATE, 100, 60)
    assert books.accounts["a"].cash == 1000 - D("0.01"), "it was its own at 60"
    fund(exchange, books, RATE, 100, 80)
    assert books.house.cash[EXTERNAL, "USDT"] == D("-0.01")
    assert_equal(books, exchange)


def test_a_debt_by_funding_after_the_close_is_bad_debt() -> None:
    exchange = Exchange()
    books = opened(exchange, "10")
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(90)))
    fund_at = Funding("BTCUSDT", RATE, D(100), 1)
    books.fundings.settle(fund_at)
    book_funding(books, fund_at)
    assert books.accounts["a"].cash == 0 and books.house.cash[BAD_DEBT, "USDT"] == D("-0.01")


def test_positions_that_are_not_remembered_are_not_guessed() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    books.moves.complete_from_ms = 100
    with pytest.raises(LookupError):
        book_funding(books, Funding("BTCUSDT", RATE, D(100), 50))


async def test_a_funding_older_than_what_is_remembered_is_settled_by_what_the_database_has() -> None:
    """It is asked again where an execution was heard of late, which has its part once, not for what is traded now."""
    desk, exchange = Desk(), Exchange()
    books = desk.state.books
    books.house.opened_ms = 0
    books.moves = Moves(most=2)
    for name in ("a", "b"):
        books.book(*exchange.execute(name, "BTCUSDT", "BUY", D(2), D(100)))
    for _ in range(3):
        books.book(*exchange.execute("a", "BTCUSDT", "SELL", D("0.5"), D(100)))
    late = exchange.execute("a", "BTCUSDT", "SELL", D("0.25"), D(100))
    late = (late[0], msgspec.structs.replace(late[1], trade_ms=2))
    asked: list[dict[Any, Decimal]] = []
    trading_ms = desk.state.now_ms()

    async def moved_between(symbol: str, at_ms: int, until_ms: int) -> dict[Any, Decimal]:
        assert (symbol, at_ms) == ("BTCUSDT", 2)
        assert until_ms < trading_ms
        if not asked:
            books.book(*late)
        told, fill = exchange.execute("a", "BTCUSDT", "BUY", D("0.125"), D(100))
        books.book(told, msgspec.structs.replace(fill, trade_ms=trading_ms))
        asked.append({("a", "BOTH"): D("-1.5")})
        return asked[-1]

    desk.cash._moved_between = moved_between
    running = [asyncio.create_task(coroutine) for coroutine in (desk.cash.run(), committing(desk))]
    rate = FundingRate(symbol="BTCUSDT", rate=RATE, mark=D(100), time_ms=2)
    desk.cash.on_rates(FundingRates(epoch=1, n=1, rates=(rate,)), entry(b""))
    async with asyncio.timeout(10):
        while not desk.paper.acked:  # noqa: ASYNC110
            await asyncio.sleep(0)
    for task in running:
        task.cancel()
    assert len(asked) == 2
    assert desk.account.cash == 1_000 - RATE * 100 * D("1.75")
    assert books.house.cash[EXTERNAL, "USDT"] == -RATE * 200, "the other owner is nobody's account"
    assert [event.type for event in desk.told(PublicEvent)] == ["account_updated"]


async def committing(desk: Desk) -> None:
    while True:
        desk.commit()
        await asyncio.sleep(0)


@pytest.mark.parametrize("mode", ["oneway", "hedge"])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_r33_invariant_3_fundings_between_executions_in_any_order(mode: str, data: st.DataObject) -> None:
    """What is booked late or early comes to the same cash as in the order of time."""
    exchange = Exchange()
    inorder, shuffled = opened(exchange), opened(exchange)
    happenings: list[tuple[str, Any]] = []
    for step in data.draw(st.lists(trade, min_size=1, max_size=20)):
        leg: Any = "BOTH" if mode == "oneway" else data.draw(st.sampled_from(["LONG", "SHORT"]))
        order, fill = exchange.execute(**step | {"symbol": "BTCUSDT", "reduce_only": False, "leverage": D(10)}, leg=leg)
        if leg != "BOTH" and order.side == {"LONG": "SELL", "SHORT": "BUY"}[leg]:
            order = msgspec.structs.replace(order, account_id="-")  # what only closes depends on the order of events
        fill = traded_at(fill, fill.trade_id * 10)
        happenings.append(("fill", (order, fill)))
        if data.draw(st.booleans()):
            rate = D(data.draw(st.integers(-30, 30))) / 10_000
            happenings.append(("funding", Funding("BTCUSDT", rate, step["price"], fill.trade_id * 10 + 5)))
    funded = {"inorder": 0, "shuffled": 0}

    def run(books: Books, chosen: list[tuple[str, Any]], name: str) -> None:
        for kind, what in chosen:
            if kind == "fill":
                books.book(*what)
            elif books.fundings.settle(what):
                book_funding(books, what)
                funded[name] += 1

    run(inorder, happenings, "inorder")
    fundings = [item for item in happenings if item[0] == "funding"]
    fills = [item for item in happenings if item[0] == "fill"]
    order_of = data.draw(st.permutations(range(len(fundings))))
    places = sorted(data.draw(st.integers(0, len(fills))) for _ in fundings)
    mixed: list[tuple[str, Any]] = list(fills)
    for shift, (index, place) in enumerate(zip(order_of, places, strict=True)):
        mixed.insert(place + shift, fundings[index])
    run(shuffled, mixed, "shuffled")
    assert funded["inorder"] == funded["shuffled"] == len(fundings)
    roundings = D("1E-8") * (len(fills) + 4) * (len(fundings) + 1)
    for name in "abc":
        assert abs(inorder.accounts[name].cash - shuffled.accounts[name].cash) <= roundings
    assert inorder.cash("USDT") == shuffled.cash("USDT")
    assert inorder.quantities() == shuffled.quantities()


@pytest.mark.parametrize(
    ("kind", "book"),
    [
        ("TRANSFER", CAPITAL),
        ("COMMISSION_REBATE", INCOME),
        ("REFERRAL_KICKBACK", INCOME),
        ("API_REBATE", INCOME),
        ("CONTEST_REWARD", INCOME),
        ("WELCOME_BONUS", INCOME),
        ("INSURANCE_CLEAR", INSURANCE),
        ("FUNDING_FEE", ROUNDING),
        ("SOMETHING_NEW", INCOME),
    ],
)
def test_every_kind_of_cash_flow_has_its_place_and_its_name(kind: str, book: str) -> None:
    exchange = Exchange()
    books = opened(exchange)
    before = books.house.cash.get((book, "BNB"), D(0))
    (booking,) = pay(exchange, books, flow(kind, "1.5", asset="BNB", symbol="BTCUSDT"))
    assert books.house.cash[book, "BNB"] - before == D("1.5")
    assert [entry.cause for entry in booking.house_entries] == [kind.lower()]
    assert_equal(books, exchange)


def test_r20_the_fee_of_a_liquidation_goes_to_who_was_liquidated() -> None:
    exchange = Exchange()
    books = opened(exchange)
    for name, quantity in (("a", 3), ("b", 1)):
        books.book(*exchange.execute(name, "BTCUSDT", "BUY", D(quantity), D(100)))
    told, fill = foreign(exchange, "liquidation", "SELL", 4, 100)
    book_foreign(books, told, fill)
    pay(exchange, books, flow("INSURANCE_CLEAR", "-5", 7, "BTCUSDT", at_ms=fill.trade_ms + 3))
    assert (books.accounts["a"].cash, books.accounts["b"].cash) == (D("996.25"), D("1998.75"))
    pay(exchange, books, flow("INSURANCE_CLEAR", "-5", 8, "ETHUSDT", at_ms=fill.trade_ms + 3))
    assert books.house.cash[INSURANCE, "USDT"] == -5, "nobody was liquidated there"
    assert_equal(books, exchange)


def test_flows_and_rates_are_booked_once_and_those_before_the_first_look_never() -> None:
    desk = Desk()
    exchange = Exchange()
    books = desk.state.books
    books.house.opened_ms = 5
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    flows = CashFlows(
        epoch=1, n=1, flows=(flow("TRANSFER", 10, 1), flow("TRANSFER", 10, 2), flow("TRANSFER", 7, 3, at_ms=5))
    )
    rates = FundingRates(
        epoch=1,
        n=2,
        rates=tuple(FundingRate(symbol="BTCUSDT", rate=RATE, mark=D(100), time_ms=at_ms) for at_ms in (4, 9)),
    )
    for redelivered in (False, True, True):
        desk.hear(flows, redelivered=redelivered)
        desk.hear(rates, redelivered=redelivered)
    assert books.house.cash[CAPITAL, "USDT"] == 20 - 1000
    assert desk.account.cash == 1000 - D("0.01")
    (event,) = {event.key: event for event in desk.told(PublicEvent)}.values()
    assert event.type == "account_updated" and b'"reason":"funding"' in bytes(event.payload)


def test_an_account_hears_once_of_the_fundings_of_an_instant_and_again_where_a_kill_may_have_kept_it_back() -> None:
    desk, exchange = Desk(), Exchange()
    desk.state.books.house.opened_ms = 0
    symbols = [f"S{n}USDT" for n in range(3)]
    for symbol in symbols:
        desk.state.books.book(*exchange.execute("a", symbol, "BUY", D(1), D(100)))
    rates = tuple(
        FundingRate(symbol=symbol, rate=RATE, mark=D(100), time_ms=at_ms) for at_ms in (50, 90) for symbol in symbols
    )
    told = FundingRates(epoch=1, n=1, rates=rates)
    desk.hear(told)
    assert [event.type for event in desk.told(PublicEvent)] == ["account_updated"] * 2
    assert desk.account.cash == 1_000 - 6 * D("0.01")
    desk.hear(FundingRates(epoch=1, n=2, rates=rates))
    assert len(desk.told(PublicEvent)) == 2, "nothing has changed"
    desk.hear(told, redelivered=True)
    assert len({event.key for event in desk.told(PublicEvent)}) == 2, "the same ones"
    assert len(desk.told(PublicEvent)) == 4


def test_a_flow_older_than_memory_is_asked_for_before_its_entry_is_acknowledged() -> None:
    desk = Desk()
    desk.state.books.house.opened_ms = 0
    desk.state.books.flows.complete_from_ms = 100
    desk.hear(CashFlows(epoch=1, n=1, flows=(flow("TRANSFER", 10, 1), flow("TRANSFER", 5, 2, at_ms=200))))
    assert desk.state.books.house.cash[CAPITAL, "USDT"] == 5 - 1000
    asked, end = desk.doubts
    asked.book()
    assert desk.state.books.house.cash[CAPITAL, "USDT"] == 15 - 1000
    assert not desk.paper.acked
    end.skip()


async def test_r33_fundings_of_many_symbols_let_others_in_between() -> None:
    desk = Desk()
    desk.state.books.house.opened_ms = 0
    exchange = Exchange()
    symbols = [f"S{n}USDT" for n in range(5)]
    for symbol in symbols:
        desk.state.books.book(*exchange.execute("a", symbol, "BUY", D(1), D(100)))
    running = asyncio.create_task(desk.cash.run())
    rates = tuple(FundingRate(symbol=symbol, rate=RATE, mark=D(100), time_ms=50) for symbol in symbols)
    desk.cash.on_rates(FundingRates(epoch=1, n=1, rates=rates), entry(b""))
    late = exchange.execute("a", symbols[-1], "BUY", D(1), D(100))  # traded before the instant, heard of after
    seen = []
    while not desk.cash.due.empty():
        await asyncio.sleep(0)
        if desk.account.cash == 1_000 - D("0.01"):
            desk.state.books.book(*late)
        seen.append(desk.account.cash)
    running.cancel()
    assert len(set(seen)) >= len(symbols), "one at a time"
    assert desk.account.cash == 1_000 - D("0.06"), "the late one once"
