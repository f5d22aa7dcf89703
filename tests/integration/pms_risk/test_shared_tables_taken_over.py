"""What risk takes over from the tables shared with the JS application: accounts, balances, status, terms and rules."""

import asyncio

from tests.integration.pms_risk.rig import WAIT_S, D, Rig
from tests.integration.pms_risk.shared_tables import INSERT, RULE, SET, cash_becomes, held, js, one, send, soon


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
