"""Cash flows, forced closes and takeovers in PostgreSQL: written once, and read back as they were."""

from itertools import count

import msgspec
from tests.integration.pms_risk.test_store import committed, tools
from tests.unit.pms_risk.test_forced import foreign
from tests.unit.pms_risk.world import D, Exchange, account, position_id

from pms_common.contracts.bus.exchange import CashFlow
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.adapters.postgres.store import Store
from pms_risk.domain.assignment import assign
from pms_risk.domain.books import Books
from pms_risk.domain.cashflows import book_flow, book_funding, flow_key
from pms_risk.domain.fills import Seen
from pms_risk.domain.first_look import Unseen
from pms_risk.domain.forced import book_foreign, foreign_key
from pms_risk.domain.funding import Funding
from pms_risk.domain.opening import open_house
from pms_risk.domain.takeover import take_over

__all__ = ["tools"]


async def test_forced_closes_takeovers_and_cash_flows_come_back(tools: tuple[Journal, Store]) -> None:
    """R-08, R-20: what was booked is known again, and who held what and when."""
    journal, store = tools
    exchange, books = Exchange(), Books(position_id)
    for entry in open_house(books, exchange.facts())[0]:
        journal.house(entry)
    owners = [account(books, name) for name in "ab"]
    for owner in owners:
        order, fill = exchange.execute(owner.id, "BTCUSDT", "BUY", D(2), D(100))
        journal.fill(order, fill, books.book(order, fill), "1-1")
    told, closed = foreign(exchange, "liquidation", "SELL", 1, 90, commission=D("0.01"))
    journal.foreign_fill(told, closed, book_foreign(books, told, closed), "1-2")
    position = next(owners[0].open_positions())
    journal.booking(take_over(books, owners[0], position, D(1), D(95), "request", 50), 50)
    funding = Funding("BTCUSDT", D("0.001"), D(95), 40)
    assert books.fundings.settle(funding)
    paid = CashFlow(flow_id=1, kind="INSURANCE_CLEAR", amount=D(-2), asset="USDT", symbol="BTCUSDT", time_ms=45)
    journal.flow(paid)
    for booking in (*book_funding(books, funding), *book_flow(books, paid)):
        journal.booking(booking, 45)
    for owner in owners:
        journal.account(owner)
    await committed(journal)

    again = Books(position_id)
    await store.load_books(again)
    for moment in (0, 2, 30, 49, 50):
        assert again.held_at("BTCUSDT", moment) == books.held_at("BTCUSDT", moment)
    for moment in (0, 2, 30, 49, 50):
        assert await store.moved_between("BTCUSDT", moment, 10**6) == books.moves.after("BTCUSDT", moment)
        until = await store.moved_between("BTCUSDT", -1, moment)
        for holder, quantity in books.moves.after("BTCUSDT", moment).items():
            until[holder] = until.get(holder, D(0)) + quantity
        assert until == books.moves.after("BTCUSDT", -1)
    assert again.held_at("BTCUSDT", 49) == {("a", "BOTH"): D("1.5"), ("b", "BOTH"): D("1.5")}
    assert again.moves.liquidated("BTCUSDT", 45, 100) == books.moves.liquidated("BTCUSDT", 45, 100) != {}
    assert {name: one.cash for name, one in again.accounts.items()} == {owner.id: owner.cash for owner in owners}
    assert again.house.cash == books.house.cash and again.house.positions == books.house.positions
    assert not again.fundings.settle(funding), "once"
    assert again.flows.look(flow_key(paid), paid.time_ms) is Seen.BOOKED and await store.is_flow_booked(paid)
    assert again.fills.look(foreign_key(told, closed), closed.trade_ms) is Seen.BOOKED


async def test_a_payment_that_the_first_look_has_not_seen_is_known_over_a_start_until_its_line_is_booked(
    tools: tuple[Journal, Store],
) -> None:
    journal, store = tools
    exchange, books = Exchange(), Books(position_id)
    opening = msgspec.structs.replace(exchange.facts(), as_of_ms=70_000, event_ms=70_900)
    for entry in open_house(books, opening)[0]:
        journal.house(entry)
    first = CashFlow(flow_id=900, kind="TRANSFER", amount=D(5), asset="USDT", symbol="", time_ms=69_990)
    second = msgspec.structs.replace(first, flow_id=901, amount=D(6))
    for paid in (first, second):
        noted = books.note_unseen(Unseen("USDT", paid.amount, 70_001, funding=False))
        assert noted is not None
        journal.house(noted)
    journal.flow(first)
    for booking in book_flow(books, first):
        journal.booking(booking, first.time_ms)
    await committed(journal)

    again = Books(position_id)
    await store.load_books(again)
    assert again.house.opened_ms == 70_000
    assert again.unseen.explain([first, second]) == {1}, "the other one's line is booked"
    assert again.note_unseen(Unseen("USDT", D(6), 70_001, funding=False)) is None, "told again"


async def test_r17_what_the_house_holds_of_an_order_is_found_until_it_is_assigned(tools: tuple[Journal, Store]) -> None:
    journal, store = tools
    exchange, books = Exchange(), Books(position_id)
    owner = account(books, "keeper")
    exchange.trades, exchange.orders = count(500), count(500)
    told, done = foreign(exchange, "orphan", "SELL", 2, 100, commission=D("0.3"))
    journal.account(owner)
    journal.foreign_fill(told, done, book_foreign(books, told, done), "1-1")
    await committed(journal)
    (held,) = await store.held_by_house("BTCUSDT", told.exchange_order_id)
    assert (held.quantity, held.price, held.commission, held.at_ms) == (-2, 100, D("0.3"), done.trade_ms)
    assert not await store.is_assigned("BTCUSDT", told.exchange_order_id, "keeper")
    journal.booking(assign(books, owner, held), held.at_ms)
    journal.account(owner)
    await committed(journal)
    assert await store.held_by_house("BTCUSDT", told.exchange_order_id) == []
    assert await store.is_assigned("BTCUSDT", told.exchange_order_id, "keeper")
