"""`pms replay`: what it finds, and how it says so."""

import asyncio
from typing import Any

import pytest
from typer.testing import CliRunner

from pms_cli.main import app
from pms_common.db import connect

ORDER = """
    INSERT INTO pms_orders.orders (client_order_id, account_id, symbol, place, created_ms, status, version, quantity,
      executed_quantity, terms_ms, sent_ms, updated_ms)
    VALUES ('c1', 'a', 'BTCUSDT', '{"t":"place","client_order_id":"c1","account_id":"a","symbol":"BTCUSDT",
      "side":"BUY","order_type":"MARKET","quantity":"1","leverage":"1","approved_ms":1}', 1000, 'filled', 1, 1,
      1, 0, 1, 1001);
    INSERT INTO pms_orders.transitions (epoch, n, client_order_id, cause, key, status, version, quantity,
      executed_quantity, terms_ms, sent_ms, updated_ms, event_ms, journalled_ms)
    VALUES (1, 1, 'c1', 'fill', 'k', 'filled', 1, 1, 1, 0, 1, 1001, 1001, 1002)
"""

WRONG = """
    INSERT INTO pms_risk.accounts (id, name, status, cash, maintenance_rate, liquidation_mode, created_ms, created_by)
    VALUES ('r', 'r', 'ACTIVE', 7, 0.005, 'ADL_30', 1, 'r');
    INSERT INTO pms_risk.ledger (key, account_id, asset, cause, amount, balance_before, balance_after, reference, at_ms)
    VALUES ('k1', 'r', 'USDT', 'deposit', 5, 0, 5, 'r', 1), ('k2', 'r', 'USDT', 'deposit', 1, 6, 7, 'r', 1);
    INSERT INTO pms_risk.house_ledger
      (key, book, asset, cause, amount, balance_before, balance_after, reference, at_ms)
    VALUES ('k1', 'capital', 'USDT', 'opening_wallet', 1, 2, 3, 'r', 1);
    INSERT INTO pms_risk.positions (id, owner, symbol, leg, leverage, quantity, cost, realized, opened_ms)
    VALUES ('p', 'r', 'BTCUSDT', 'BOTH', 1, 1, 1, 0, 1);
    INSERT INTO pms_risk.flows (kind, flow_id, asset, symbol, amount, info, at_ms)
    VALUES ('TRANSFER', 1, 'USDT', '', 5, '', 1)
"""


def execute(database: str, sql: str) -> None:
    async def run() -> None:
        connection = await connect(database)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(run())


def replayed(*words: str) -> Any:
    return CliRunner().invoke(app, ["replay", *words])


def test_orders_are_compared_with_their_history(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    monkeypatch.setenv("PMS_REDIS_URL", "redis://127.0.0.1:9")
    monkeypatch.setenv("PMS_DATABASE_URL", database)
    execute(database, ORDER)
    done = replayed()
    orders = "1 orders rebuilt from 1 transitions and 0 fills: 0 differ\n"
    assert (done.exit_code, done.output) == (0, f"{orders}ledgers and positions of all accounts: 0 do not add up\n")
    execute(database, "UPDATE pms_orders.orders SET status = 'active'")
    done = replayed("--from", "1970-01-01")
    assert done.exit_code == 1 and "c1: status: active, by its history filled" in done.output
    assert "0 orders rebuilt" in replayed("--from", "2020-01-01").output


def test_ledgers_and_positions_are_added_up(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    monkeypatch.setenv("PMS_REDIS_URL", "redis://127.0.0.1:9")
    monkeypatch.setenv("PMS_DATABASE_URL", database)
    execute(database, WRONG)
    done = replayed("--from", "2020-01-01")
    assert done.exit_code == 1 and "5 do not add up" in done.output
    for line in (
        "r k2: an entry does not begin where the one before it ended",
        "capital k1: an entry of the house does not begin where the one before it ended",
        "r: an account's cash is not the sum of its entries",
        "r BTCUSDT BOTH: a position is not the sum of its account's executions and takeovers",
        "TRANSFER:1:USDT:: a cash flow is in no ledger",
    ):
        assert line in done.output
