"""How long a start takes with the books of a large pool: the CPU of the process, for the clock is the neighbours', too.

`pytest -s tests/integration/pms_risk/test_start.py` prints both.
"""

import asyncio
import time
from pathlib import Path

from tests.integration.pms_risk.rig import WAIT_S, Rig

from pms_common.db import connect

TICKS_PER_S = 100
"""Of the kernel's accounts of CPU time."""
SEEDS = (
    "INSERT INTO pms_risk.accounts (id, name, status, cash, maintenance_rate, maintenance_mode, liquidation_mode,"
    " created_ms, created_by) SELECT 'acc-' || n, 'acc-' || n, 'ACTIVE', 100, 0.005, 'flat', 'ADL_30', 1, 'seed'"
    " FROM generate_series(1, 1000) AS n",
    "INSERT INTO pms_risk.rules (account_id, max_leverage, max_notional_per_trade, max_total_exposure,"
    " liquidation_threshold, allowed_symbols, max_open_orders, max_daily_loss, max_orders_per_minute)"
    " SELECT 'acc-' || n, 100, 200, 500, 0.9, '', 200, 0, 0 FROM generate_series(1, 1000) AS n",
    "INSERT INTO pms_risk.positions (id, owner, symbol, leg, leverage, quantity, cost, realized, opened_ms)"
    " SELECT 'pos-' || a || '-' || s, 'acc-' || a, 'S' || (a + s) % 20 || 'USDT', 'BOTH', 10, 1, 100, 0, 1"
    " FROM generate_series(1, 1000) AS a, generate_series(1, 10) AS s",
    "INSERT INTO pms_risk.ledger (key, account_id, asset, cause, amount, balance_before, balance_after, reference,"
    " at_ms) SELECT a || ':' || e, 'acc-' || a, 'USDT', 'realized_pnl', 1, e - 1, e, 'seed', 1000 * e + a"
    " FROM generate_series(1, 1000) AS a, generate_series(1, 100) AS e",
    "INSERT INTO pms_risk.fills (symbol, trade_id, exchange_order_id, owner, client_order_id, side, leg, price,"
    " quantity, commission, commission_asset, exchange_profit, profit, excess, trade_ms, entry)"
    " SELECT 'S' || e % 20 || 'USDT', e, e, 'acc-' || 1 + e % 1000, 'seed-' || e, 'BUY', 'BOTH', 100, 1, 0, 'USDT',"
    " 0, 0, 0, e, '0-0' FROM generate_series(1, 100000) AS e",
)


def cpu_s(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


async def test_a_start_with_1000_accounts_and_100000_ledger_entries_takes_less_than_5_s(rig: Rig) -> None:
    await rig.kill()
    connection = await connect(rig.database)
    for seed in SEEDS:
        await connection.execute(seed)
    await connection.execute("ANALYZE")
    await connection.close()
    await rig.start()  # the tables of the JS application get what they lack
    async with asyncio.timeout(WAIT_S):
        while len(await rig.rows("SELECT FROM sub_accounts")) < 1_000:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert await rig.process.end() == 0  # a killed one leaves its lease, which a successor waits for
    began = time.monotonic()
    await rig.start()
    used_s = cpu_s(rig.process.pid)
    print(f"\nstart: {used_s:.2f} s of CPU, {time.monotonic() - began:.2f} s by the clock")
    assert len(await rig.rows("SELECT FROM pms_risk.accounts WHERE status <> 'CLOSED'")) == 1_000
    assert used_s < 5
