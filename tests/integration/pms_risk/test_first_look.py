"""The first look at an exchange account that others trade and pay at that very moment."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.pms_orders.conftest import empty as empty_orders
from tests.integration.pms_orders.desk import Desk, Simulator, simulator
from tests.integration.pms_risk.rig import empty
from tests.services import ServiceProcess

from pms_common.db import connect
from pms_common.names import Names

EQUAL_WITHIN_S = 150.0
"""The list of cash flows is asked for once a minute where nothing seems amiss."""
AT_LEAST_S = 4.0
"""So long after the first look it goes on: longer than the exchange's queries lag."""


async def busy(sim: Simulator) -> None:
    """Somebody trades by hand, is paid, and gets or pays funding, a few times a second; never twice the same amount."""
    n = 0
    while True:
        n += 1
        await sim.fault(
            "foreign_order", symbol="BTCUSDT", side="BUY" if n % 3 else "SELL", quantity="0.003", type="MARKET"
        )
        await asyncio.sleep(0.01)
        await sim.post("/sim/deposit", amount=str(n))
        await asyncio.sleep(0.01)
        if n % 4 == 0:
            await sim.post("/sim/funding", symbol="BTCUSDT", rate=f"0.00{1000 + n}")
        await asyncio.sleep(0.03)


async def books(database: str) -> dict[str, Any]:
    """What risk has: all cash in USDT, and all of the position."""
    connection = await connect(database)
    try:
        cash = await connection.fetchval(
            "SELECT coalesce(sum(amount), 0) FROM pms_risk.house_ledger WHERE asset = 'USDT'"
        )
        held = await connection.fetchval(
            "SELECT coalesce(sum(quantity), 0) FROM pms_risk.positions WHERE closed_ms IS NULL AND symbol = 'BTCUSDT'"
        )
        return {"cash": cash, "held": held}
    finally:
        await connection.close()


async def opened(database: str) -> bool:
    connection = await connect(database)
    try:
        return bool(
            await connection.fetchval("SELECT count(*) FROM pms_risk.house_ledger WHERE cause = 'opening_wallet'")
        )
    finally:
        await connection.close()


async def truth(sim: Simulator) -> dict[str, Any]:
    """The same at the exchange."""
    account = next(iter((await sim.get("/sim/state"))["accounts"].values()))
    held = sum((Decimal(p["positionAmt"]) for p in account["positions"] if p["symbol"] == "BTCUSDT"), Decimal(0))
    return {"cash": Decimal(account["wallet"]), "held": held}


@pytest.mark.parametrize("fault", ["stale_query", "late_event"])
async def test_a_look_amid_trades_payments_and_fundings_misses_none_and_counts_none_twice(
    names: Names, redis_url: str, database: str, tmp_path: Path, fault: str
) -> None:
    """The queries lag behind the engine, or the feed behind the queries."""
    await empty(database)
    await empty_orders(database)
    with simulator() as address:
        sim = Simulator(address)
        await sim.reset()
        desk = Desk(names, redis_url, database, sim)
        risk = ServiceProcess(
            "risk",
            {"PMS_NAMESPACE": names.namespace, "PMS_REDIS_URL": redis_url, "PMS_DATABASE_URL": database}
            | {"PMS_RISK_METRICS_PORT": "0"},
            tmp_path / "risk.log",
        )
        await sim.fault(fault, ms=700, seconds=60)
        others = asyncio.create_task(busy(sim))
        try:
            risk.start()
            await desk.start()
            async with asyncio.timeout(EQUAL_WITHIN_S):
                while not await opened(database):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                await asyncio.sleep(AT_LEAST_S)
                others.cancel()
                await asyncio.gather(others, return_exceptions=True)
                while (await books(database)) != (await truth(sim)):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
        finally:
            others.cancel()
            risk.kill()
            await desk.stop()
            await sim.close()
