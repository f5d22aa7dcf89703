"""Risk's tables: what is written comes back, what is written stays, and what memory forgot is asked for."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest
from tests.integration.pms_risk.rig import empty
from tests.unit.pms_risk.world import D, Exchange, account, position_id

from pms_common.bus import Bus
from pms_common.db import GroupCommit, connect, create_engine, take_epoch
from pms_common.names import Names
from pms_risk.adapters.postgres import store
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.adapters.postgres.statements import ALL
from pms_risk.adapters.postgres.store import OPERATOR_REQUESTS_MS, Store
from pms_risk.app.late import Doubt, Late
from pms_risk.domain.account import SETTLEMENT_ASSET
from pms_risk.domain.books import Books, fill_key
from pms_risk.domain.fills import Seen
from pms_risk.domain.house import HOUSE
from pms_risk.domain.opening import open_house
from pms_risk.domain.rules import Rules


@pytest.fixture
async def tools(names: Names, redis_url: str, database: str) -> AsyncIterator[tuple[Journal, Store]]:
    """A running journal on empty tables, and the store that reads what it wrote."""
    await empty(database)
    engine = create_engine(database, "risk")
    bus = await Bus.connect(redis_url, "risk", names)
    commit = GroupCommit(database, "risk", await take_epoch(engine, "risk"), ALL, gather_s=3_600.0)
    journal = Journal(commit, bus.outbox)
    tasks = [asyncio.create_task(commit.run()), asyncio.create_task(journal.run())]
    yield journal, Store(engine)
    await journal.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await bus.close()
    await engine.dispose()


async def committed(journal: Journal) -> None:
    done = asyncio.Event()
    journal.then(done.set, hurry=True)
    async with asyncio.timeout(60):
        await done.wait()


async def test_books_come_back_as_they_were(tools: tuple[Journal, Store], database: str) -> None:
    journal, store = tools
    exchange, books = Exchange(), Books(position_id)
    entries, _ = open_house(books, exchange.facts())
    for entry in entries:
        journal.house(entry)
    owner = account(books, "a")
    owner.rules = Rules(allowed_symbols=frozenset({"BTCUSDT", "ETHUSDT"}), max_open_orders=7)
    credit, debit = books.transfer(owner, D("1000.00000001"), "r1", 5)
    journal.account(owner)
    journal.rules(owner)
    journal.ledger(credit)
    journal.house(debit)
    steps = (("a", "BUY", "0.3"), ("a", "SELL", "0.1"), ("a", "SELL", "0.5"), ("nobody", "BUY", "0.2"))
    for who, side, quantity in steps:
        order, fill = exchange.execute(who, "BTCUSDT", side, D(quantity), D("60000.1"), commission=D("0.3"))
        booking = books.book(order, fill)
        journal.fill(order, fill, booking, "1-1")
        journal.account(owner)
    journal.gate("", "BTCUSDT", "halted")
    await committed(journal)

    again = Books(position_id)
    await store.load_books(again)
    back = again.accounts["a"]
    assert (back.cash, back.rules, back.status) == (owner.cash, owner.rules, owner.status)
    assert list(back.open_positions()) == list(owner.open_positions())
    assert again.house.positions == books.house.positions
    assert again.house.cash == books.house.cash
    assert again.house.opened_ms == books.house.opened_ms
    assert again.cash(SETTLEMENT_ASSET) == exchange.wallets[SETTLEMENT_ASSET]
    assert again.look(order, fill) is Seen.BOOKED
    assert await store.operator_requests(0) == {("a", "r1", "deposit")}
    assert await store.operator_requests(credit.at_ms + OPERATOR_REQUESTS_MS) == set()
    reused, _ = again.transfer(back, D(500), "r1", credit.at_ms + OPERATOR_REQUESTS_MS)
    journal.ledger(reused)
    await committed(journal)
    assert (await store.executed([order.client_order_id]))[order.client_order_id].quantity == D("0.2")

    connection = await connect(database)
    for table in ("ledger", "house_ledger", "fills"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await connection.execute(f"DELETE FROM pms_risk.{table}")
    owners = await connection.fetch("SELECT DISTINCT owner FROM pms_risk.positions")
    assert {row["owner"] for row in owners} == {"a", HOUSE}
    await connection.close()


@pytest.mark.parametrize("query", [store.HOUSE_CASH, store.OPENING, store.RESULTS, store.OPERATOR_REQUESTS])
async def test_a_start_reads_no_ledger_from_its_beginning(query: str, database: str) -> None:
    connection = await connect(database)
    await connection.execute("SET enable_seqscan = off")
    given = {":since": "5", ":asset": "'USDT'", ":transfers": "'{deposit}'", ":causes": "'{deposit}'"}
    for name, value in given.items():
        query = query.replace(name, value)
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}"))
    await connection.close()
    assert "Seq Scan" not in plan and "Index Scan" in plan.replace("Only ", ""), plan
    assert "house_ledger" not in query or "GroupAggregate" not in plan, plan


async def test_a_commission_in_another_asset_counts_by_what_its_account_paid(tools: tuple[Journal, Store]) -> None:
    journal, store = tools
    exchange, books = Exchange(), Books(position_id, lambda fill: fill.commission * 600)
    account(books, "a")
    order, fill = exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), commission=D("0.001"), asset="BNB")
    journal.fill(order, fill, books.book(order, fill), "1-1")
    await committed(journal)
    assert (await store.executed([order.client_order_id]))[order.client_order_id].commission == D("0.6")


async def test_r08_what_memory_forgot_is_asked_for(tools: tuple[Journal, Store]) -> None:
    journal, store = tools
    exchange, books = Exchange(), Books(position_id)
    known, unknown = (exchange.execute("nobody", "ETHUSDT", "BUY", D(1), D(3000)) for _ in range(2))
    journal.fill(*known, books.book(*known), "1-1")
    await committed(journal)
    asked: list[tuple[str, int]] = []
    late = Late()
    running = asyncio.create_task(late.run())
    for order, fill in (known, unknown, unknown):
        key, trade_id = fill_key(order, fill), fill.trade_id
        book, skip = partial(asked.append, ("book", trade_id)), partial(asked.append, ("skip", trade_id))
        late.ask(Doubt(key, partial(store.is_booked, key), book, skip))
    async with asyncio.timeout(60):
        while len(asked) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    assert asked == [("skip", known[1].trade_id), ("book", unknown[1].trade_id), ("skip", unknown[1].trade_id)]
