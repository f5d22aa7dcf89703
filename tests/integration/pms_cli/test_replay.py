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
    assert (done.exit_code, done.output) == (0, "1 orders rebuilt from 1 transitions and 0 fills: 0 differ\n")
    execute(database, "UPDATE pms_orders.orders SET status = 'active'")
    done = replayed("--from", "1970-01-01")
    assert done.exit_code == 1 and "c1: status: active, by its history filled" in done.output
    assert "0 orders rebuilt" in replayed("--from", "2020-01-01").output
