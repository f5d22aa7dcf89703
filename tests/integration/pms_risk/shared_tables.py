"""The JS application at the tables it shares with risk, played with the statements that Prisma sends.

`test_prisma` does it with Prisma itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.pms_risk.rig import WAIT_S, Rig

from pms_common.db import connect

SET = 'UPDATE "public"."sub_accounts" SET "current_balance" = $1 WHERE ("public"."sub_accounts"."id" = $2 AND 1=1)'
"""A blind update, as an admin's route sends it; `updated_at` is left alone, as by hand."""
INSERT = (
    'INSERT INTO "public"."sub_accounts" ("id", "name", "type", "initial_balance", "current_balance", "status",'
    ' "liquidation_mode", "maintenance_rate", "created_at", "updated_at")'
    " VALUES ($1, $2, 'USER', $3, $3, $4, 'ADL_30', 0.005, now(), now())"
)
RULE = (
    "INSERT INTO risk_rules (id, sub_account_id, is_global, max_leverage, max_notional_per_trade, max_total_exposure)"
    " VALUES ($1, $2, $3, $4, 10000000, 100000000)"
)


@asynccontextmanager
async def js(rig: Rig) -> AsyncIterator[Any]:
    """A connection of the application."""
    connection = await connect(rig.database, "js")
    try:
        yield connection
    finally:
        await connection.close()


async def send(rig: Rig, sql: str, *values: Any) -> None:
    async with js(rig) as connection:
        await connection.execute(sql, *values)


async def soon(rig: Rig, query: str) -> None:
    """Wait until the query finds a row."""
    async with asyncio.timeout(WAIT_S):
        while not await rig.rows(query):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def cash_becomes(rig: Rig, account_id: str, cash: str) -> None:
    """Exactly, in the books, and as a double in the shared row."""
    await soon(
        rig,
        "SELECT FROM pms_risk.accounts AS a JOIN sub_accounts AS s USING (id)"
        f" WHERE id = '{account_id}' AND a.cash = {cash} AND s.current_balance = {cash}",
    )


async def one(rig: Rig, query: str) -> dict[str, Any]:
    (row,) = await rig.rows(query)
    return row


async def held(rig: Rig, account_id: str, quantity: str = "0.01", price: str = "60000") -> None:
    """Buy at market."""
    seen = len(rig.placed)
    asked = {"subAccountId": account_id, "symbol": "BTCUSDT", "side": "BUY", "quantity": quantity, "leverage": 10}
    await rig.send("trade", **asked)
    await rig.fill(await rig.order(seen=seen), price)
