"""What risk writes to the tables shared with the JS application: in its words, once, and never in the books' way."""

import hashlib

from tests.integration.pms_risk.rig import Rig
from tests.integration.pms_risk.shared_tables import held, one, send, soon


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
