"""The roles of deploy/postgres/roles.sql: each service can do its work, and is refused what is another's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from tests.conftest import ROOT
from tests.integration.pms_risk.rig import Rig

from pms_common.clock import now_ms
from pms_common.db import DAY_MS, GroupCommit, PgCursorStore, TableSizes, connect, create_engine, take_epoch
from pms_common.names import Names
from pms_orders.adapters.months import Months
from pms_orders.adapters.pending_orders import adopt

ROLES = ROOT / "deploy" / "postgres" / "roles.sql"
SERVICES = ("orders", "risk", "algos", "gateway")
PASSWORD = "secret"
FORBIDDEN = (
    ("orders", "SELECT FROM pms_risk.ledger"),
    ("orders", "SELECT FROM pms_algos.algos"),
    ("orders", "SELECT current_balance FROM sub_accounts"),
    ("orders", "UPDATE sub_accounts SET current_balance = 1"),
    ("orders", "SELECT FROM virtual_positions"),
    ("orders", "DELETE FROM pending_orders"),
    ("risk", "SELECT FROM pms_orders.orders"),
    ("risk", "SELECT FROM pending_orders"),
    ("risk", "SELECT FROM users"),
    ("risk", "DELETE FROM sub_accounts"),
    ("risk", "DROP TABLE pms_risk.ledger"),
    ("algos", "SELECT FROM pms_orders.orders"),
    ("algos", "UPDATE risk_rules SET max_leverage = 1"),
    ("gateway", "SELECT FROM pms_risk.accounts"),
    ("gateway", "SELECT FROM pms_orders.fills"),
    ("gateway", "SELECT FROM balance_logs"),
    ("gateway", "CREATE TABLE pms_risk.mine (n int)"),
)


def of(url: str, service: str) -> str:
    """The database's URL for a service."""
    return make_url(url).set(username=f"pms_{service}", password=PASSWORD).render_as_string(hide_password=False)


@pytest.fixture
async def roles(database: str) -> AsyncIterator[str]:
    """A database with these roles, which belong to the whole server."""
    connection = await connect(database)
    await connection.execute(ROLES.read_text())
    await connection.execute(ROLES.read_text())  # as after another migration
    for service in SERVICES:
        await connection.execute(f"ALTER ROLE pms_{service} PASSWORD '{PASSWORD}'")
    yield database
    await connection.close()


@pytest.mark.parametrize(("service", "sql"), FORBIDDEN)
async def test_what_is_anothers_is_refused(roles: str, service: str, sql: str) -> None:
    connection = await connect(of(roles, service))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_raises_its_own_epoch_and_no_other(roles: str, service: str) -> None:
    engine = create_engine(of(roles, service), service)
    try:
        first = await take_epoch(engine, service)
        assert await take_epoch(engine, service) == first + 1
        if service != "risk":  # whose cursors are its journal's
            assert await PgCursorStore(engine, service).load("group") == {}
        with pytest.raises(Exception, match="row-level security"):
            await take_epoch(engine, SERVICES[SERVICES.index(service) - 1])
    finally:
        await engine.dispose()


async def test_orders_writes_orders_of_accounts_that_are_there(roles: str) -> None:
    admin: Any = await connect(roles)
    account = "INSERT INTO sub_accounts (id, name, initial_balance, current_balance, updated_at) VALUES"
    await admin.execute(f"{account} ('a', '', 0, 0, now())")
    url = of(roles, "orders")
    engine = create_engine(url, "orders")
    pending = await adopt(engine, "native")
    assert pending is not None
    journal = GroupCommit(url, "orders", await take_epoch(engine, "orders"), [pending.statement])
    running = asyncio.create_task(journal.run())
    journal.add(
        pending.statement, ("o1", "a", "BTCUSDT", "LONG", "LIMIT", 1.0, 1.0, 1.0, "7", "PENDING", "MANUAL", None, 1, 1)
    )
    await journal.flush()
    assert await admin.fetchval("SELECT count(*) FROM pending_orders") == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await journal.close()
    await engine.dispose()
    await admin.execute("TRUNCATE sub_accounts CASCADE")
    await admin.close()


async def test_orders_makes_and_drops_its_months_and_nobody_else_does(roles: str) -> None:
    engine = create_engine(of(roles, "orders"), "orders")
    later_ms = now_ms() + 365 * DAY_MS
    until = "SELECT min(until_ms), max(until_ms) FROM pms_orders.months WHERE history = 'transitions'"
    admin: Any = await connect(roles)
    try:
        await Months(engine, 0, lambda: later_ms).look()
        oldest, newest = await admin.fetchrow(until)
        assert oldest < later_ms - 250 * DAY_MS and newest >= later_ms
        await Months(engine, 90, lambda: later_ms).look()
        assert await admin.fetchval(until) > later_ms - 90 * DAY_MS
        assert (await TableSizes(engine, "pms_orders").look())["transitions"] > 0
    finally:
        await engine.dispose()
        await admin.close()
    risk: Any = await connect(of(roles, "risk"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await risk.execute("SELECT pms_orders.drop_month('transitions', 1)")
    assert await risk.fetchval("SHOW statement_timeout") == "1min"
    await risk.close()


async def test_orders_has_no_other_table_made_by_the_role_that_migrates(roles: str) -> None:
    """What it makes is made of what it is alike: of a table of its own that could be anything."""
    orders: Any = await connect(of(roles, "orders"))
    try:
        await orders.execute(
            "CREATE TABLE pms_orders.mine (epoch bigint, n bigint, journalled_ms bigint DEFAULT random())"
            " PARTITION BY RANGE (journalled_ms);"
            "CREATE TABLE pms_orders.mine_first PARTITION OF pms_orders.mine FOR VALUES FROM (MINVALUE) TO (0);"
            "CREATE TABLE pms_orders.mine_other PARTITION OF pms_orders.mine DEFAULT"
        )
        with pytest.raises(asyncpg.NullValueNotAllowedError):
            await orders.execute("SELECT pms_orders.open_month('mine')")
        await orders.execute("DROP TABLE pms_orders.mine")
    finally:
        await orders.close()


async def test_risk_does_all_its_work(names: Names, redis_url: str, roles: str, tmp_path: Path) -> None:
    rig = Rig(names, redis_url, roles, tmp_path / "risk.log")
    rig.process.settings["PMS_DATABASE_URL"] = of(roles, "risk")
    try:
        await rig.open()
        account_id = await rig.create("one")
        await rig.send("trade", subAccountId=account_id, symbol="BTCUSDT", side="BUY", quantity="0.01", leverage=10)
        await rig.fill(await rig.order(), "60000")
        await rig.committed(1)
        told = await rig.rows("SELECT action FROM trade_executions JOIN virtual_positions AS v ON v.id = position_id")
        assert [row["action"] for row in told] == ["OPEN"]
        assert (await rig.rows("SELECT current_balance FROM sub_accounts"))[0]["current_balance"] == 9_999.7
        await rig.kill()
        await rig.start()  # as the successor of a session it may end
    finally:
        await rig.close()
