"""Pages of risk's history: every row once, in order, and no more than a page may hold."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.errors import CommandError
from pms_common.contracts.history import StatementDay
from pms_common.db import connect, create_engine
from pms_common.histories import Read
from pms_risk.adapters.postgres.history import DAY_MS, ledger, statement, trades


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    """Tables with 30 changes of cash and 30 executions of an account `a`, three a moment, over ten days; and of `b`."""
    connection = await connect(database)
    await connection.execute("TRUNCATE pms_risk.ledger, pms_risk.fills, pms_risk.moves")
    for owner in "ab":
        await connection.execute(
            "INSERT INTO pms_risk.ledger (key, account_id, asset, cause, amount, balance_before, balance_after,"
            " reference, at_ms) SELECT $1 || i, $1, 'USDT', 'deposit', 1, i, i + 1, '', i / 3 * $2::bigint"
            " FROM generate_series(0, 29) AS i",
            owner,
            DAY_MS,
        )
        await connection.execute(
            "INSERT INTO pms_risk.fills SELECT 'BTCUSDT', i, ascii($1), $1, 'o' || i, 'BUY', 'BOTH', 10, 2, 0, 'USDT',"
            " 0, 0, 0, i / 3 * $2::bigint, '' FROM generate_series(0, 29) AS i",
            owner,
            DAY_MS,
        )
    await connection.execute(
        f"INSERT INTO pms_risk.moves VALUES ('takeover', 'a', 'BTCUSDT', 'BOTH', -4, 9, {DAY_MS}, false)"
    )
    await connection.close()
    made = create_engine(database)
    yield made
    await made.dispose()


@pytest.mark.parametrize("most", [1, 2, 7, 200])
@pytest.mark.parametrize(("read", "count"), [(ledger, 30), (trades, 31), (statement, 10)])
async def test_pages_hold_everything_once_and_in_order(engine: AsyncEngine, read: Read, count: int, most: int) -> None:
    found: list[Any] = []
    before: str | None = ""
    while before is not None:
        page = await read(engine, "a", before, most)
        assert len(page.items) <= most
        found += page.items
        before = page.next
    assert len(found) == len(set(map(repr, found))) == count
    moments = [item.day if isinstance(item, StatementDay) else item.timestamp_ms for item in found]
    assert moments == sorted(moments, reverse=True)


async def test_a_statement_carries_the_balance_from_day_to_day(engine: AsyncEngine) -> None:
    page = await statement(engine, "a", "", 3)
    days: list[Any] = list(page.items)
    assert [(day.day, day.opening_balance, day.closing_balance) for day in days] == [
        ("1970-01-10", 27, 30),
        ("1970-01-09", 24, 27),
        ("1970-01-08", 21, 24),
    ]
    assert (days[0].trades, days[0].volume, days[0].changes) == (3, 60, {"deposit": 3})


async def test_a_cursor_that_is_none_is_refused(engine: AsyncEngine) -> None:
    for cursor in ("x", "-1~", "9" * 30, "1; DROP"):
        with pytest.raises(CommandError):
            await ledger(engine, "a", cursor, 1)
