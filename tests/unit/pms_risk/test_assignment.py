"""Executions that the house held for want of an owner go to one: the exchange notices nothing (invariant 3, R-17)."""

import asyncio
from functools import partial
from typing import Any

from pms_common.contracts.errors import CommandError
from pms_risk.app.assignments import Assignments, Wanted
from pms_risk.domain.assignment import Held, assign
from pms_risk.domain.cashflows import book_funding
from pms_risk.domain.funding import Funding
from pms_risk.domain.house import EXTERNAL, HOUSE, netting

from .desk import Desk
from .test_books import assert_equal, opened
from .test_forced import force, foreign
from .world import D, Exchange


def held(reference: str = "BTCUSDT:1:1", quantity: Any = 2, commission: Any = "0.4", at_ms: int = 1) -> Held:
    return Held(reference, "BTCUSDT", "BOTH", D(quantity), D(100), D(commission), at_ms)


def test_an_account_gets_the_execution_its_commission_and_the_funding_since() -> None:
    exchange = Exchange()
    books = opened(exchange)
    force(books, foreign(exchange, "orphan", "BUY", 2, 100, commission=D("0.4")))
    funding = Funding("BTCUSDT", D("0.001"), D(110), 50)
    books.fundings.settle(funding)
    book_funding(books, funding)
    exchange.wallets["USDT"] -= D("0.22")
    books.house.book("rounding", D("-0.22"), key="f", cause="funding_fee", reference="f", at_ms=50)
    booking = assign(books, books.accounts["a"], held())
    assert books.accounts["a"].cash == 1000 - D("0.4") - D("0.22")
    assert [entry.cause for entry in booking.account_entries] == ["commission", "funding"]
    assert books.accounts["a"].holding("BTCUSDT", "BOTH").quantity == 2
    assert not books.house.positions and books.house.cash[EXTERNAL, "USDT"] == 0
    assert_equal(books, exchange)


def test_what_an_assigned_execution_opens_is_never_isolated() -> None:
    """Its margin would be all of its notional, taken from the account's other positions."""
    exchange = Exchange()
    books = opened(exchange)
    owner = books.accounts["a"]
    owner.set_margin_mode("isolated")
    force(books, foreign(exchange, "orphan", "BUY", 50, 100))
    assign(books, owner, held(quantity=50))
    position = owner.holding("BTCUSDT", "BOTH").position
    assert position is not None and position.isolated is None
    assert owner.cross_cash == owner.cash
    books.book(*exchange.execute("a", "ETHUSDT", "BUY", D(1), D(100)))
    assert owner.isolated == D(10)
    assign(books, owner, Held("ETHUSDT:1:2", "ETHUSDT", "BOTH", D(1), D(100), D(0), 1))
    assert owner.isolated == D(20), "it joins an isolated one like any other execution"


def test_an_assigned_execution_closes_what_the_account_holds() -> None:
    exchange = Exchange()
    books = opened(exchange)
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(3), D(90)))
    force(books, foreign(exchange, "orphan", "SELL", 2, 100))
    booking = assign(books, books.accounts["a"], held(quantity=-2, commission=0))
    assert booking.profit == 20 and books.accounts["a"].cash == 1020
    assert {move.owner: move.quantity for move in booking.moves} == {"a": -2, HOUSE: 2}
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(100)))
    assert abs(books.house.cash[netting("BTCUSDT"), "USDT"]) < D("1E-7")
    assert_equal(books, exchange)


async def test_an_order_is_assigned_once_and_what_the_house_does_not_hold_is_refused() -> None:
    desk = Desk()
    desk.price(100)
    rows: dict[int, list[Held]] = {7: [held("BTCUSDT:1:7"), held("BTCUSDT:2:7", 1)], 8: []}
    assigned: set[int] = set()

    async def find(_: str, number: int) -> list[Held]:
        return [] if number in assigned else rows[number]

    async def is_assigned(_symbol: str, number: int, account_id: str) -> bool:
        return number in assigned and account_id == "a"

    ended: list[Any] = []
    assignments = Assignments(desk.state, desk.journal, desk.events, find, is_assigned)
    running = asyncio.create_task(assignments.run())
    for number in (7, 7, 8):
        assignments.ask(Wanted(desk.account, "BTCUSDT", number, partial(ended.append, number), ended.append))
        async with asyncio.timeout(30):
            count = len(ended)
            while len(ended) == count:
                desk.commit()
                await asyncio.sleep(0)
        assigned.add(7)
    running.cancel()
    assert ended[:2] == [7, 7] and isinstance(ended[2], CommandError) and ended[2].field == "exchangeOrderId"
    assert desk.account.holding("BTCUSDT", "BOTH").quantity == 3
    assert desk.events_told() == ["position_updated"] * 2
