"""The tables shared with the JS application: what risk writes there, and what it takes over from there.

The application is played with the statements that Prisma sends; `test_prisma` does it with Prisma itself.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from tests.integration.pms_risk.rig import WAIT_S, Rig

from pms_common.db import connect

D = Decimal
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


# -- what is written


async def test_an_account_made_here_is_there_before_it_is_answered(rig: Rig) -> None:
    made = await rig.ask("account", action="create", name="one", balance=1_000.5)
    row = await one(rig, "SELECT * FROM sub_accounts")
    assert row["id"] == made["subAccountId"]
    assert (row["user_id"], row["name"], row["status"], row["type"]) == (None, "one", "ACTIVE", "USER")
    assert (row["initial_balance"], row["current_balance"], row["maintenance_rate"]) == (1_000.5, 1_000.5, 0.005)
    rule = await one(rig, "SELECT * FROM risk_rules")
    assert (rule["sub_account_id"], rule["is_global"], rule["max_total_exposure"]) == (row["id"], False, 500)
    log = await one(rig, "SELECT * FROM balance_logs")
    assert (log["reason"], log["balance_before"], log["balance_after"]) == ("DEPOSIT", 0, 1_000.5)


async def test_executions_are_told_in_their_words(rig: Rig) -> None:
    account_id = await rig.create("one")
    await held(rig, account_id)
    await rig.committed(1)
    position = await one(rig, "SELECT * FROM virtual_positions")
    figures = ("entry_price", "quantity", "notional", "leverage", "margin", "liquidation_price", "realized_pnl")
    assert [position[name] for name in figures] == [60_000, 0.01, 600, 10, 60, 0, None]
    assert (position["symbol"], position["side"], position["status"]) == ("BTCUSDT", "LONG", "OPEN")

    await rig.send("close", positionId=position["id"])
    await rig.fill(await rig.order(seen=1), "61000")
    await rig.committed(2)
    closed = await one(rig, "SELECT * FROM virtual_positions")
    assert (closed["status"], closed["realized_pnl"], closed["quantity"]) == ("CLOSED", 9.695, 0.01)
    assert closed["closed_at"] >= closed["opened_at"]
    opening, closing = await rig.rows('SELECT * FROM trade_executions ORDER BY "timestamp"')
    told = ("side", "type", "action", "price", "notional", "fee", "realized_pnl", "status", "origin_type")
    assert [opening[name] for name in told] == ["BUY", "MARKET", "OPEN", 60_000, 600, 0.3, None, "FILLED", "MANUAL"]
    assert [closing[name] for name in told[:7]] == ["SELL", "MARKET", "CLOSE", 61_000, 610, 0.305, 9.695]
    assert {opening["position_id"], closing["position_id"]} == {position["id"]}
    assert closing["client_order_id"] == rig.placed[-1].client_order_id
    logs = await rig.rows("SELECT * FROM balance_logs WHERE reason <> 'DEPOSIT' ORDER BY balance_after DESC")
    assert {(log["reason"], log["change_amount"]) for log in logs} == {
        ("TRADE_PNL", 10),
        ("COMMISSION", -0.3),
        ("COMMISSION", -0.305),
    }
    assert {log["trade_id"] for log in logs} == {opening["id"], closing["id"]}
    assert (await one(rig, "SELECT current_balance FROM sub_accounts"))["current_balance"] == 10_009.395


async def test_an_execution_that_turns_a_position_has_a_row_for_each_part(rig: Rig) -> None:
    account_id = await rig.create("one")
    await held(rig, account_id)
    placed = rig.placed[-1]
    view = await rig.rest(placed)
    rig.orders[placed.client_order_id] = view
    await rig.committed(1)
    asked = {"subAccountId": account_id, "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.03", "leverage": 10}
    await rig.send("trade", **asked)
    await rig.fill(await rig.order(seen=1), "59000")
    await rig.committed(2)
    rows = await rig.rows("SELECT action, quantity, fee, realized_pnl FROM trade_executions ORDER BY quantity")
    parts = sorted((row["action"], row["quantity"], row["realized_pnl"]) for row in rows)
    assert parts == [("CLOSE", 0.01, -10.885), ("OPEN", 0.01, None), ("OPEN", 0.02, None)]
    assert sum(row["fee"] for row in rows) == 0.3 + 0.885
    found = await rig.rows("SELECT side, status, quantity FROM virtual_positions ORDER BY side")
    assert [tuple(row.values()) for row in found] == [("LONG", "CLOSED", 0.01), ("SHORT", "OPEN", 0.02)]


async def test_a_replay_writes_no_second_row(rig: Rig) -> None:
    """Killed before it has acknowledged anything, and handed everything again."""
    account_id = await rig.create("one")
    await held(rig, account_id)
    await rig.committed(1)
    await rig.kill()
    await rig.redis.xgroup_setid(rig.names.updates("orders"), "risk", "0")
    await rig.start()
    await held(rig, account_id)
    await rig.committed(2)
    assert len(await rig.rows("SELECT FROM trade_executions")) == 2
    assert len(await rig.rows("SELECT FROM balance_logs")) == 3
    first = await one(rig, "SELECT symbol, trade_id, exchange_order_id FROM pms_risk.fills ORDER BY trade_ms LIMIT 1")
    key = "trade:{symbol}:{trade_id}:{exchange_order_id}:0".format(**first)
    signatures = {row["signature"] for row in await rig.rows("SELECT signature FROM trade_executions")}
    assert hashlib.sha256(key.encode()).hexdigest() in signatures


async def test_a_table_that_takes_no_row_does_not_hold_up_the_books(rig: Rig) -> None:
    account_id = await rig.create("one")
    await send(rig, "ALTER TABLE trade_executions ADD CONSTRAINT none CHECK (false) NOT VALID")
    try:
        await held(rig, account_id)
        await rig.committed(1)
        assert await rig.rows("SELECT FROM trade_executions") == []
        assert len(await rig.rows("SELECT FROM virtual_positions")) == 1
        assert (await one(rig, "SELECT current_balance FROM sub_accounts"))["current_balance"] == 9_999.7
        kept = await one(rig, "SELECT * FROM pms_risk.left_out")
        assert (kept["name"], "none" in kept["reason"]) == ("trade_executions", True)
        await soon(rig, "SELECT FROM pms_risk.left_out WHERE tries > 1")
    finally:
        await send(rig, "ALTER TABLE trade_executions DROP CONSTRAINT none")
    await soon(rig, "SELECT WHERE NOT EXISTS (SELECT FROM pms_risk.left_out)")
    trade = await one(rig, "SELECT * FROM trade_executions")
    assert (trade["action"], trade["price"], trade["quantity"], trade["fee"]) == ("OPEN", 60_000, 0.01, 0.3)


async def test_logs_that_the_table_did_not_take_are_written_as_soon_as_it_does_and_once(rig: Rig) -> None:
    await send(rig, "ALTER TABLE balance_logs ADD CONSTRAINT none CHECK (change_amount < 0) NOT VALID")
    try:
        await rig.create("one")
        await soon(rig, "SELECT FROM pms_risk.left_out")
        assert await rig.rows("SELECT FROM balance_logs") == []
        await rig.kill()
    finally:
        await send(rig, "ALTER TABLE balance_logs DROP CONSTRAINT none")
    await rig.start()
    await soon(rig, "SELECT WHERE NOT EXISTS (SELECT FROM pms_risk.left_out)")
    log = await one(rig, "SELECT * FROM balance_logs")
    assert (log["reason"], log["change_amount"]) == ("DEPOSIT", 10_000)


async def test_positions_that_the_table_did_not_take_are_written_at_the_next_start(rig: Rig) -> None:
    closing, opening, gone = [await rig.create(name) for name in ("closing", "opening", "gone")]
    await held(rig, closing)
    await held(rig, gone)
    await rig.committed(2)
    await send(rig, "ALTER TABLE virtual_positions ADD CONSTRAINT none CHECK (false) NOT VALID")
    try:
        for account_id in (closing, gone):
            seen = len(rig.placed)
            await rig.send("close_all", subAccountId=account_id)
            await rig.fill(await rig.order(seen=seen), "61000")
        await held(rig, opening)
        await rig.committed(5)
        assert [row["status"] for row in await rig.rows("SELECT status FROM virtual_positions")] == ["OPEN", "OPEN"]
        await rig.kill()
    finally:
        await send(rig, "ALTER TABLE virtual_positions DROP CONSTRAINT none")
    await send(rig, "DELETE FROM virtual_positions WHERE sub_account_id = $1", gone)
    await rig.start()
    await soon(rig, f"SELECT FROM virtual_positions WHERE sub_account_id = '{opening}' AND status = 'OPEN'")
    closed = "status = 'CLOSED' AND quantity = 0.01 AND realized_pnl = 9.695 AND closed_at IS NOT NULL"
    await soon(rig, f"SELECT FROM virtual_positions WHERE sub_account_id = '{closing}' AND {closed}")
    assert await rig.rows(f"SELECT FROM virtual_positions WHERE sub_account_id = '{gone}'") == []
    await rig.assert_equal()


# -- what is taken over


async def test_an_account_inserted_there_trades(rig: Rig) -> None:
    await send(rig, INSERT, "acc-1", "from js", 1_000.0, "ACTIVE")
    await send(rig, RULE, "rule-1", "acc-1", False, 20.0)
    await cash_becomes(rig, "acc-1", "1000")
    await soon(rig, "SELECT FROM pms_risk.rules WHERE max_leverage = 20")
    await held(rig, "acc-1")
    await rig.committed(1)
    await cash_becomes(rig, "acc-1", "999.7")
    await rig.assert_equal()
    entry = await one(rig, "SELECT * FROM pms_risk.ledger WHERE cause = 'admin_set'")
    assert (entry["amount"], entry["balance_after"]) == (1_000, 1_000)
    event = await rig.event("account_updated")
    assert (event["subAccountId"], event["name"]) == ("acc-1", "from js")


async def test_an_account_of_no_date_is_taken_like_any_other(rig: Rig) -> None:
    async with js(rig) as connection, connection.transaction():
        await connection.execute(INSERT, "acc-1", "from js", 1_000.0, "ACTIVE")
        await connection.execute("UPDATE sub_accounts SET created_at = 'infinity'")
    await cash_becomes(rig, "acc-1", "1000")


async def test_an_account_that_the_books_do_not_have_stops_neither_others_nor_a_start(rig: Rig) -> None:
    lost, other = await rig.create("one"), await rig.create("two")
    await soon(rig, "SELECT FROM risk_rules HAVING min(max_total_exposure) = 100000000")
    await rig.kill()
    await send(rig, "DELETE FROM pms_risk.rules WHERE account_id = $1", lost)
    await send(rig, "DELETE FROM pms_risk.accounts WHERE id = $1", lost)
    await rig.start()
    await send(rig, SET, 7.0, other)
    await cash_becomes(rig, other, "7")
    assert rig.process.log.count("account_of_nobody") == 1


async def test_an_account_with_open_positions_of_another_engine_is_taken_frozen(rig: Rig) -> None:
    """Its cash counts, its positions do not: an administrator lets it trade when they are settled."""
    async with js(rig) as connection, connection.transaction():
        await connection.execute(INSERT, "old", "old", 1_000.0, "ACTIVE")
        await connection.execute(
            "INSERT INTO virtual_positions (id, sub_account_id, symbol, side, entry_price, quantity, notional,"
            " leverage, margin, liquidation_price) VALUES ('p1', 'old', 'BTCUSDT', 'LONG', 60000, 0.01, 600, 10, 60, 0)"
        )
    await soon(rig, "SELECT FROM sub_accounts WHERE id = 'old' AND status = 'FROZEN'")
    assert (await one(rig, "SELECT cash, status FROM pms_risk.accounts"))["status"] == "FROZEN"
    assert (await one(rig, "SELECT status FROM virtual_positions"))["status"] == "OPEN", "not ours to change"
    await send(rig, "UPDATE sub_accounts SET status = 'ACTIVE' WHERE id = 'old'")
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE id = 'old' AND status = 'ACTIVE'")


async def test_two_accounts_there_may_have_one_name(rig: Rig) -> None:
    for account_id in ("acc-1", "acc-2"):
        await send(rig, INSERT, account_id, "the same", 10.0, "ACTIVE")
        await cash_becomes(rig, account_id, "10")


async def test_a_balance_set_there_is_booked_exactly_and_once(rig: Rig) -> None:
    account_id = await rig.create("one", 1_000)
    await held(rig, account_id)
    await rig.committed(1)
    await send(rig, SET, 1_234.56789012, account_id)
    await cash_becomes(rig, account_id, "1234.56789012")
    await send(rig, SET, 0.0, account_id)
    await cash_becomes(rig, account_id, "0")
    entries = await rig.rows("SELECT amount FROM pms_risk.ledger WHERE cause = 'admin_set' ORDER BY n")
    assert [row["amount"] for row in entries] == [D("1234.56789012") - D("999.7"), D("-1234.56789012")]
    house = await rig.rows("SELECT -amount AS amount FROM pms_risk.house_ledger WHERE cause = 'admin_set' ORDER BY n")
    assert [row["amount"] for row in house] == [row["amount"] for row in entries]
    reasons = await rig.rows("SELECT FROM balance_logs WHERE reason = 'ADMIN_SET'")
    assert len(reasons) == 2
    await rig.assert_equal()


async def test_what_the_application_has_logged_itself_is_not_logged_twice(rig: Rig) -> None:
    account_id = await rig.create("one", 1_000)
    async with js(rig) as connection, connection.transaction():
        await connection.execute(SET, 1_500.0, account_id)
        await connection.execute(
            "INSERT INTO balance_logs (id, sub_account_id, balance_before, balance_after, change_amount, reason)"
            " VALUES ('theirs', $1, 1000, 1500, 500, 'ADMIN_SET')",
            account_id,
        )
    await cash_becomes(rig, account_id, "1500")
    assert [row["id"] for row in await rig.rows("SELECT id FROM balance_logs WHERE reason = 'ADMIN_SET'")] == ["theirs"]


async def test_a_frozen_account_takes_no_new_risk_and_an_active_one_does(rig: Rig) -> None:
    account_id = await rig.create("one")
    asked = {"subAccountId": account_id, "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "leverage": 10}
    await send(rig, "UPDATE sub_accounts SET status = 'FROZEN' WHERE id = $1", account_id)
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE status = 'FROZEN'")
    assert (await rig.ask("trade", **asked))["errorCode"] == "ACCOUNT_FROZEN"
    unfrozen = await rig.ask("account", action="unfreeze", subAccountId=account_id)
    assert unfrozen["status"] == "ACTIVE"
    await soon(rig, "SELECT FROM sub_accounts WHERE status = 'ACTIVE'")
    await send(rig, "UPDATE sub_accounts SET status = 'ON_HOLIDAY' WHERE id = $1", account_id)
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE status = 'FROZEN'")
    assert (await one(rig, "SELECT status FROM sub_accounts"))["status"] == "ON_HOLIDAY"


async def test_mode_rate_and_name_are_taken_and_numbers_that_are_none_are_not(rig: Rig) -> None:
    account_id = await rig.create("one")
    change = "UPDATE sub_accounts SET liquidation_mode = $1, maintenance_rate = $2, name = $3 WHERE id = $4"
    await send(rig, change, "TAKEOVER", 0.01, "two", account_id)
    taken = "SELECT FROM pms_risk.accounts WHERE liquidation_mode = 'TAKEOVER' AND maintenance_rate = 0.01"
    await soon(rig, f"{taken} AND name = 'two'")
    await send(rig, change, "INSTANT_CLOSE", float("nan"), "three", account_id)
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE name = 'three' AND maintenance_rate = 0.01")
    for no_cash in (float("inf"), float("nan"), 1e300, 5e-324 + 10_000):
        await send(rig, SET, no_cash, account_id)
        await cash_becomes(rig, account_id, "10000")
    await send(rig, SET, 0.1 + 0.2, account_id)
    await cash_becomes(rig, account_id, "0.3")


async def test_a_number_that_is_none_neither_keeps_our_changes_back_nor_is_written_for_ever(rig: Rig) -> None:
    account_id = await rig.create("one")
    await soon(rig, "SELECT FROM risk_rules WHERE max_total_exposure = 100000000")
    change = "UPDATE sub_accounts SET maintenance_rate = 'NaN' WHERE id = $1"
    await send(rig, change, account_id)
    async with asyncio.timeout(WAIT_S):
        while "terms_not_taken" not in rig.process.log:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await rig.ask("account", action="freeze", subAccountId=account_id)
    await soon(rig, "SELECT FROM sub_accounts WHERE status = 'FROZEN' AND maintenance_rate = 'NaN'")
    before = await rig.rows("SELECT xmin FROM pms_risk.accounts")
    await asyncio.sleep(1.5)  # several looks
    assert await rig.rows("SELECT xmin FROM pms_risk.accounts") == before


async def test_rules_of_its_own_come_before_global_ones_and_those_before_the_built_in(rig: Rig) -> None:
    await send(rig, INSERT, "acc-1", "from js", 1_000.0, "ACTIVE")
    await soon(rig, "SELECT FROM pms_risk.rules WHERE max_leverage = 100 AND max_notional_per_trade = 200")
    await send(rig, RULE, "all", None, True, 30.0)
    await soon(rig, "SELECT FROM pms_risk.rules WHERE max_leverage = 30 AND max_notional_per_trade = 10000000")
    await send(rig, RULE, "own", "acc-1", False, 40.0)
    await soon(rig, "SELECT FROM pms_risk.rules WHERE max_leverage = 40")
    await send(rig, "UPDATE risk_rules SET max_leverage = 5 WHERE id = 'own'")
    await soon(rig, "SELECT FROM pms_risk.rules WHERE max_leverage = 5")
    asked = {"subAccountId": "acc-1", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "leverage": 10}
    assert (await rig.ask("trade", **asked))["errorCode"] == "MAX_LEVERAGE_EXCEEDED"
    await send(rig, "DELETE FROM risk_rules WHERE id = 'own'")
    await soon(rig, "SELECT FROM pms_risk.rules WHERE max_leverage = 30")
    await rig.ask("account", action="set_rules", subAccountId="acc-1", maxLeverage=50)
    await soon(rig, "SELECT FROM risk_rules WHERE sub_account_id = 'acc-1' AND max_leverage = 50")


async def test_a_global_rule_is_agreed_on_for_all_accounts_at_once(rig: Rig) -> None:
    count = 200
    await send(
        rig,
        "INSERT INTO sub_accounts (id, name, initial_balance, current_balance, updated_at)"
        " SELECT 'acc-' || n, 'n', 10, 10, now() FROM generate_series(1, $1) AS n",
        count,
    )
    agreed = "SELECT FROM pms_risk.administered WHERE our_max_leverage"
    await soon(rig, f"{agreed} IS NOT NULL HAVING count(*) = {count}")
    await send(rig, RULE, "all", None, True, 30.0)
    await soon(rig, f"{agreed} = 30 HAVING count(*) = {count}")
    (written,) = await rig.rows("SELECT count(DISTINCT xmin::text) FROM pms_risk.administered")
    assert written["count"] < count / 10


async def delete(rig: Rig, account_id: str) -> None:
    """As the application's admin deletes an account."""
    async with js(rig) as connection, connection.transaction():
        for table in ("trade_executions", "balance_logs", "pending_orders", "virtual_positions", "risk_rules"):
            await connection.execute(f"DELETE FROM {table} WHERE sub_account_id = $1", account_id)
        await connection.execute("DELETE FROM sub_accounts WHERE id = $1", account_id)


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


async def until_cancelled(rig: Rig, client_order_id: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while client_order_id not in rig.cancels:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_table_that_lost_all_its_rows_decides_about_no_account(rig: Rig) -> None:
    ids = [await rig.create(name) for name in ("one", "two")]
    await send(rig, "TRUNCATE sub_accounts CASCADE")
    await asyncio.sleep(1)
    answer = await rig.ask("account", action="deposit", subAccountId=ids[0], amount=1)
    assert answer["balance"] == 10_001
    assert "all_accounts_deleted" in rig.process.log


# -- both at once


async def test_a_balance_set_while_a_booking_waits_for_the_row_loses_neither(rig: Rig) -> None:
    account_id = await rig.create("one")
    async with js(rig) as connection:
        async with connection.transaction():
            await connection.execute(SET, 5_000.0, account_id)
            await held(rig, account_id)  # waits for the lock
            await soon(rig, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        await cash_becomes(rig, account_id, "4999.7")
    await rig.assert_equal()


async def test_a_balance_set_after_a_booking_took_the_row_stands(rig: Rig) -> None:
    """The other way round: the application waits, and its word is the last."""
    account_id = await rig.create("one")
    await held(rig, account_id)
    await rig.committed(1)
    async with js(rig) as connection, js(rig) as other:
        booking = connection.transaction()
        await booking.start()
        await connection.execute("SELECT FROM sub_accounts WHERE id = $1 FOR NO KEY UPDATE", account_id)
        blind = asyncio.create_task(other.execute(SET, 5_000.0, account_id))
        await soon(rig, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        await connection.execute(SET, 9_999.4, account_id)
        await booking.commit()
        await blind
    await cash_becomes(rig, account_id, "5000")
    await rig.assert_equal()


async def test_a_row_that_is_locked_for_long_holds_up_no_booking_and_is_written_after(rig: Rig) -> None:
    account_id = await rig.create("one")
    async with js(rig) as connection, connection.transaction():
        await connection.execute(SET, 5_000.0, account_id)
        await held(rig, account_id)
        await rig.committed(1)  # in the books, though the row is still locked
        assert (await one(rig, "SELECT cash FROM pms_risk.accounts"))["cash"] == D("9999.7")
    await cash_becomes(rig, account_id, "4999.7")
    assert len(await rig.rows("SELECT FROM trade_executions")) == 1
    await rig.assert_equal()


async def test_a_locked_row_holds_up_neither_other_accounts_nor_a_start(rig: Rig) -> None:
    locked, other = await rig.create("one"), await rig.create("two")
    await soon(rig, "SELECT FROM risk_rules HAVING min(max_total_exposure) = 100000000")
    frozen = "SELECT FROM sub_accounts WHERE status = 'FROZEN' AND id ="
    async with js(rig) as connection:
        async with connection.transaction():
            await connection.execute("SELECT FROM sub_accounts WHERE id = $1 FOR UPDATE", locked)
            await rig.ask("account", action="freeze", subAccountId=locked)
            await asyncio.sleep(2)  # it is on its way there
            await rig.ask("account", action="freeze", subAccountId=other)
            async with asyncio.timeout(15):  # well below the time limit of a query
                await soon(rig, f"{frozen} '{other}'")
            await rig.kill()
            await rig.start()
            assert not await rig.rows(f"{frozen} '{locked}'")
        await soon(rig, f"{frozen} '{locked}'")


async def test_blind_updates_among_bookings_end_equal(rig: Rig) -> None:
    chance = random.Random(4)
    account_id = await rig.create("one", 50_000)
    booked = 0

    async def admin() -> None:
        async with js(rig) as connection:
            for _ in range(25):
                await asyncio.sleep(chance.random() * 0.1)
                await connection.execute(SET, round(chance.uniform(40_000, 60_000), 8), account_id)

    async def trade() -> None:
        nonlocal booked
        for _ in range(25):
            await held(rig, account_id, "0.001", str(60_000 + chance.randint(-50, 50)))
            booked += 1

    await asyncio.gather(admin(), trade())
    await rig.committed(booked)
    await soon(
        rig,
        "SELECT FROM pms_risk.accounts AS a JOIN sub_accounts AS s USING (id) JOIN pms_risk.administered AS w"
        " ON w.account_id = id WHERE s.current_balance = a.cash::double precision AND w.exact = a.cash",
    )
    await send(rig, SET, 777.0, account_id)
    await cash_becomes(rig, account_id, "777")
    await rig.assert_equal()


async def test_what_is_set_around_a_kill_is_booked_once(rig: Rig) -> None:
    chance = random.Random(7)
    account_id = await rig.create("one")
    for number in range(1, 4):
        await send(rig, SET, 1_000.0 * number, account_id)
        await asyncio.sleep(chance.random() * 0.5)
        await rig.kill()
        await rig.start()
        await cash_becomes(rig, account_id, f"{1_000 * number}")
    assert len(await rig.rows("SELECT FROM pms_risk.ledger WHERE cause = 'admin_set'")) == 3
    await rig.assert_equal()
