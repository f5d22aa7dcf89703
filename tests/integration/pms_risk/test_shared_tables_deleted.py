"""Accounts that the JS application deletes: closed without positions, and none because a whole table is empty."""

import asyncio

from tests.integration.pms_risk.rig import WAIT_S, D, Rig
from tests.integration.pms_risk.shared_tables import held, js, send, soon


async def delete(rig: Rig, account_id: str) -> None:
    """As the application's admin deletes an account."""
    async with js(rig) as connection, connection.transaction():
        for table in ("trade_executions", "balance_logs", "pending_orders", "virtual_positions", "risk_rules"):
            await connection.execute(f"DELETE FROM {table} WHERE sub_account_id = $1", account_id)
        await connection.execute("DELETE FROM sub_accounts WHERE id = $1", account_id)


async def until_cancelled(rig: Rig, client_order_id: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while client_order_id not in rig.cancels:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_deleted_account_without_positions_is_closed(rig: Rig) -> None:
    account_id, other = await rig.create("one"), await rig.create("two")
    await delete(rig, account_id)
    await soon(rig, f"SELECT FROM pms_risk.accounts WHERE id = '{account_id}' AND status = 'CLOSED' AND cash = 0")
    answer = await rig.ask("account", action="deposit", subAccountId=account_id, amount=1)
    assert answer["errorCode"] == "ACCOUNT_NOT_FOUND"
    await rig.assert_equal()
    await rig.kill()
    await rig.start()
    assert [row["id"] for row in await rig.rows("SELECT id FROM sub_accounts")] == [other]


async def test_positions_of_a_deleted_account_go_to_the_house(rig: Rig) -> None:
    account_id = await rig.create("one")
    await held(rig, account_id)
    resting = {"subAccountId": account_id, "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "price": 50_000}
    await rig.send("limit", **resting, leverage=10)
    placed = await rig.order(seen=1)
    await rig.rest(placed)
    await rig.committed(1)
    await delete(rig, account_id)
    house = "SELECT FROM pms_risk.positions WHERE owner = 'house' AND closed_ms IS NULL AND quantity"
    await soon(rig, f"{house} = 0.01")
    assert "position_of_deleted_account" in rig.process.log
    await until_cancelled(rig, placed.client_order_id)
    await rig.fill(placed, "50000")  # before the cancel reaches it
    await soon(rig, f"{house} = 0.02")
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE status = 'CLOSED' AND cash = 0")
    await rig.assert_equal()


async def test_a_position_of_a_deleted_account_waits_for_a_fresh_price(rig: Rig) -> None:
    account_id = await rig.create("one")
    await rig.create("two")
    await held(rig, account_id)
    await rig.committed(1)
    bid, ask = rig.prices.pop("BTCUSDT")
    await asyncio.sleep(3.5)  # the price grows old in 3 s
    await delete(rig, account_id)
    async with asyncio.timeout(WAIT_S):
        while "deleted_account_unpriced" not in rig.process.log:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await rig.rows("SELECT FROM pms_risk.positions WHERE owner = 'house'") == []
    rig.prices["BTCUSDT"] = (bid - 10_000, ask - 10_000)
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE status = 'CLOSED' AND cash = 0")
    taken = await rig.rows("SELECT price FROM pms_risk.moves WHERE owner = 'house' ORDER BY at_ms DESC LIMIT 1")
    assert [row["price"] for row in taken] == [D("50000.05")]
    await rig.assert_equal()


async def test_a_table_that_lost_all_its_rows_decides_about_no_account(rig: Rig) -> None:
    ids = [await rig.create(name) for name in ("one", "two")]
    await send(rig, "TRUNCATE sub_accounts CASCADE")
    await asyncio.sleep(1)
    answer = await rig.ask("account", action="deposit", subAccountId=ids[0], amount=1)
    assert answer["balance"] == 10_001
    assert "all_accounts_deleted" in rig.process.log
