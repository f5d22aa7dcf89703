"""Risk and the JS application at one row at once: no word of either is lost, and neither holds the other up."""

import asyncio
import random

from tests.integration.pms_risk.rig import D, Rig
from tests.integration.pms_risk.shared_tables import SET, cash_becomes, held, js, one, send, soon


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
