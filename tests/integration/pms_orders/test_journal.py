"""What the journal has written, and what its database refuses."""

import asyncio
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import NOW, report, trade

from pms_cli import migrate
from pms_common.clock import now_ms
from pms_common.db import connect
from pms_orders.adapters.binance.trading_socket import Sent
from pms_orders.adapters.journal import FILLED
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Operation
from pms_orders.domain.reducer import depart
from pms_orders.domain.table import Kind

FILL = (
    "INSERT INTO pms_orders.fills (symbol, trade_id, exchange_order_id, client_order_id, account_id, side, price,"
    " quantity, commission, commission_asset, realized_pnl, maker, trade_ms, epoch, journalled_ms)"
    " VALUES ($1, $2, $3, 'c', 'a', 'BUY', 1, 1, 0, 'USDT', 0, false, 1, 1, 1)"
)


async def rows(rig: Rig, sql: str, *values: Any) -> list[Any]:
    await rig.journal.flush()
    connection = await connect(rig.database)
    try:
        return [tuple(row) for row in await connection.fetch(sql, *values)]
    finally:
        await connection.close()


async def test_r08_the_database_takes_a_fill_once_by_symbol_trade_and_order(rig: Rig) -> None:
    connection = await connect(rig.database)
    try:
        await connection.execute(FILL, "BTCUSDT", 1, 7)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(FILL, "BTCUSDT", 1, 7)
        await connection.execute(FILL, "BTCUSDT", 1, 8)  # the other side of a self-match
        await connection.execute(FILL, "ETHUSDT", 1, 7)  # each symbol counts its own trades
    finally:
        await connection.close()


async def test_r08_a_fill_journalled_twice_is_one_row_and_keeps_what_was_first(rig: Rig) -> None:
    order = await rig.accepted()
    rig.manager.report([trade(1, "3", "3")])
    (first,) = await rows(rig, "SELECT * FROM pms_orders.fills")
    again = trade(1, "4", None).fill
    assert again is not None
    rig.journal._fill(order, again)  # as a writer would that has forgotten the first
    assert await rows(rig, "SELECT * FROM pms_orders.fills") == [first]
    assert FILLED.sql.endswith("ON CONFLICT (symbol, trade_id, exchange_order_id) DO NOTHING")


async def test_every_happening_is_kept_with_its_sources(rig: Rig) -> None:
    began_ms = now_ms()
    order = await rig.accepted(number=7)
    rig.manager.report([report(Kind.NEW, event_ms=NOW + 1), trade(1, "10", "10", Kind.FILLED)])
    found = await rows(
        rig, "SELECT epoch, cause, status, event_ms, journalled_ms FROM pms_orders.transitions ORDER BY n"
    )
    assert [row[1:4] for row in found] == [("active", "active", NOW + 1), ("fill", "filled", NOW + 1)]
    assert {row[0] for row in found} == {rig.commits.epoch}
    assert all(began_ms <= row[4] <= now_ms() for row in found)
    fills = await rows(rig, "SELECT epoch, trade_ms FROM pms_orders.fills")
    assert fills == [(rig.commits.epoch, NOW)]
    assert order.status == "filled"


@pytest.mark.parametrize("apart", [False, True])
async def test_an_order_is_as_its_last_happening_left_it_however_it_was_batched(rig: Rig, apart: bool) -> None:
    """What happens in the batch in which an order is registered is written with it, without an update (`ctid`)."""

    async def between() -> None:
        if apart:
            await rig.journal.flush()

    order = await rig.accepted(number=7)
    await between()
    rig.manager.report([report(Kind.NEW, event_ms=NOW + 1)])
    await between()
    rig.manager.report([trade(1, "4", "4")])
    await between()
    order.wanted_cancel = "requested"
    rig.journal.cancel_wanted(order)  # no new version
    state = "status, version, exchange_order_id, executed_quantity, sent_ms > 0, updated_ms"
    (found,) = await rows(rig, f"SELECT {state}, ctid FROM pms_orders.orders")
    assert found[:-1] == ("cancelling", order.version, 7, Decimal(4), True, order.updated_ms)
    assert (found[-1] == (0, 1)) is not apart
    history = f"SELECT {state} FROM pms_orders.transitions ORDER BY n DESC LIMIT 1"
    assert await rows(rig, history) == [found[:-1]]


async def test_every_answer_of_the_exchange_is_kept(rig: Rig) -> None:
    order = await rig.accepted(number=7)
    rig.manager.report([report(Kind.NEW)])
    order.wanted_cancel = "requested"
    rig.depart(order, Operation.CANCEL, answered=False)
    assert order.flight is not None
    rig.outcomes.answered(Sent(Operation.CANCEL, order, order.flight), 0, VenueError(400, -2011, "Unknown order sent."))
    order.wanted_cancel = "requested"
    depart(order, Operation.CANCEL, now_ms())
    rig.outcomes.lost(Sent(Operation.CANCEL, order, order.flight))
    answers = "SELECT operation, outcome, exchange_order_id, status, code, message FROM pms_orders.answers ORDER BY n"
    assert await rows(rig, answers) == [
        ("place", "accepted", 7, None, None, None),
        ("cancel", "gone", None, 400, -2011, "Unknown order sent."),
        ("cancel", "lost", None, None, None, None),
    ]


@pytest.mark.parametrize("table", ["transitions", "answers", "fills"])
@pytest.mark.parametrize("change", ["UPDATE pms_orders.{} SET epoch = 0", "DELETE FROM pms_orders.{}"])
async def test_history_is_append_only(rig: Rig, table: str, change: str) -> None:
    connection = await connect(rig.database)
    try:
        with pytest.raises(asyncpg.RaiseError, match=f"{table} is append-only"):
            await connection.execute(change.format(table))
    finally:
        await connection.close()


async def test_what_was_journalled_before_counts_from_its_trade_time(database: str) -> None:
    await asyncio.to_thread(migrate.downgrade, database, "0002")
    connection = await connect(database)
    try:
        await connection.execute(
            "INSERT INTO pms_orders.fills VALUES ('X', 1, 1, 'c', 'a', 'BUY', 1, 1, 0, 'USDT', 0, false, 4711)"
        )
        await asyncio.to_thread(migrate.upgrade, database)
        found = await connection.fetchrow("SELECT epoch, journalled_ms FROM pms_orders.fills WHERE symbol = 'X'")
        assert tuple(found) == (0, 4711)
    finally:
        await connection.close()
