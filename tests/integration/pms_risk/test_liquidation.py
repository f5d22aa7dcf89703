"""Liquidation with risk in a process: tiers on falling prices, kill -9 in the middle, decisions made again."""

from typing import Any

import msgspec
from tests.integration.pms_risk.rig import D, Rig, until

from pms_risk.domain.liquidation.decision import Decision, Facts, decide

LONG = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.5, "leverage": 100}
# 600 cash, 15 of commission, long 0.5 at 60 000, maintenance 150: ratio 0.8 at 59 205, 0.9 at 59 163, 1 at 59 130
WARNED, SECOND, INSOLVENT = (59_190.0, 59_190.1), (59_155.0, 59_155.1), (59_050.0, 59_050.1)


async def opened(rig: Rig, name: str = "one") -> str:
    account = await rig.create(name, 600)
    await rig.send("trade", subAccountId=account, **LONG)
    placed = await rig.order(seen=len(rig.placed))
    await rig.fill(placed, "60000")
    await rig.event("position_updated")
    return account


async def test_tiers_close_on_a_falling_price_and_the_books_equal_the_exchange(rig: Rig) -> None:
    account = await opened(rig)
    assert (await rig.ask("account", action="set_mode", subAccountId=account, maintenanceRate=0.005))["success"]
    rig.prices["BTCUSDT"] = WARNED
    warning = await rig.event("margin_warning")
    assert 0.8 <= warning["marginRatio"] < 0.9
    rig.prices["BTCUSDT"] = SECOND
    cut = await rig.order(seen=1)
    assert (cut.quantity, cut.origin, cut.self_trade_prevention) == (D("0.150"), "LIQUIDATION", "EXPIRE_MAKER")
    refused = await rig.ask("trade", subAccountId=account, **LONG)
    assert refused["errorCode"] == "ACCOUNT_LIQUIDATING"
    await rig.fill(cut, "59155")
    step = await rig.event("adl_triggered")
    assert (step["tier"], step["positions"][0]["closedQty"]) == (2, 0.15)
    rig.prices["BTCUSDT"] = (58_600.0, 58_600.1)
    rest = await rig.order(seen=2)
    await rig.fill(rest, "58600")
    full = await rig.event("full_liquidation")
    assert full["mode"] == "INSOLVENCY_GUARD"
    assert full["account"]["positions"] == []
    assert (await rig.ask("trade", subAccountId=account, **LONG))["errorCode"] == "ACCOUNT_FROZEN"
    assert (await rig.ask("account", action="unfreeze", subAccountId=account))["status"] == "ACTIVE"
    await rig.committed(3)
    await rig.assert_equal()
    await replayed(rig, ["ADL_30", "INSOLVENCY_GUARD"])


async def replayed(rig: Rig, kinds: list[str]) -> None:
    """Every decision follows again from the facts that were recorded with it."""
    rows: list[Any] = await rig.rows(
        "SELECT kind, decision::text, facts::text FROM pms_risk.liquidations ORDER BY at_ms"
    )
    assert [row["kind"] for row in rows] == kinds
    for row in rows:
        facts = msgspec.json.decode(row["facts"], type=Facts)
        assert decide(facts) == msgspec.json.decode(row["decision"], type=Decision)


async def test_r08_a_liquidation_under_way_is_picked_up_and_nothing_is_closed_twice(rig: Rig) -> None:
    account = await opened(rig)
    rig.prices["BTCUSDT"] = INSOLVENT
    closing = await rig.order(seen=1)
    assert closing.quantity == D("0.5")
    await rig.fill(closing, "59050", "0.2")
    await rig.kill()
    await rig.start()
    assert len(rig.placed) == 2, "the order is still live"
    await rig.end(closing, "expired")
    again = await rig.order(seen=2)
    assert again.quantity == D("0.3")
    assert again.client_order_id != closing.client_order_id
    await rig.kill()
    await rig.fill(again, "59050")
    await rig.start()
    full = await rig.event("full_liquidation")
    assert (full["subAccountId"], full["positions"][0]["closedQty"]) == (account, 0.5)
    await until(lambda: len(rig.placed) == 3)
    await rig.committed(3)
    await rig.assert_equal()
    status = await rig.rows("SELECT status FROM pms_risk.accounts")
    assert [row["status"] for row in status] == ["LIQUIDATED"]
    assert len([event for event in await rig.events() if event["type"] == "full_liquidation"]) == 1


async def test_modes_survive_a_restart(rig: Rig) -> None:
    account = await rig.create("one")
    modes = {"liquidationMode": "TAKEOVER", "maintenanceMode": "brackets", "maintenanceRate": 0.01}
    assert (await rig.ask("account", action="set_mode", subAccountId=account, **modes))["success"]
    await rig.kill()
    await rig.start()
    (row,) = await rig.rows("SELECT liquidation_mode, maintenance_mode, maintenance_rate FROM pms_risk.accounts")
    assert row == {"liquidation_mode": "TAKEOVER", "maintenance_mode": "brackets", "maintenance_rate": D("0.01")}
