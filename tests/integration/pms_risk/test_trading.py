"""Commands to orders, order updates to books and events."""

import asyncio
import json
from typing import Any

import pytest
from tests.integration.pms_risk.rig import WAIT_S, D, Rig

from pms_common.contracts.bus.common import WatchLease, watch_lease


async def test_a_trade_is_approved_filled_booked_and_told(rig: Rig) -> None:
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, symbol="BTCUSDT", side="BUY", quantity=0.01, leverage=10)
    placed = await rig.order()
    assert (placed.order_type, placed.side, placed.quantity, placed.answer) == ("MARKET", "BUY", D("0.01"), True)
    await rig.fill(placed, "60000.1")
    filled = await rig.event("order_filled")
    updated = await rig.event("position_updated")
    kinds = [event["type"] for event in await rig.events() if event["subAccountId"] == account]
    assert kinds[-4:] == ["order_placed", "order_active", "order_filled", "position_updated"]
    assert (filled["price"], filled["fee"], filled["state"]) == (60000.1, 0.3000005, "filled")
    assert filled["account"]["positions"][0]["id"] == updated["positionId"]
    assert (updated["side"], updated["entryPrice"], updated["quantity"]) == ("LONG", 60000.1, 0.01)
    await rig.committed(1)
    await rig.assert_equal()


async def test_the_cache_follows(rig: Rig) -> None:
    account = await rig.create("one", 1000)
    await rig.send("limit", subAccountId=account, symbol="BTCUSDT", side="BUY", quantity=0.1, price=59000, leverage=10)
    await rig.rest(await rig.order())
    await rig.event("order_active")
    key = rig.names.risk(account)
    cached: dict[str, Any] = {}
    async with asyncio.timeout(WAIT_S):
        while not cached.get("openOrders"):
            await asyncio.sleep(0.05)
            cached = json.loads(await rig.redis.get(key) or b"{}")
    assert cached["openOrders"][0]["price"] == 59000
    assert (cached["balance"], cached["status"], cached["positions"]) == (1000, "ACTIVE", [])
    assert 0 < await rig.redis.ttl(key) <= 30


async def test_close_waits_for_the_end_and_tells_what_it_earned(rig: Rig) -> None:
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, symbol="BTCUSDT", side="SELL", quantity=0.02, leverage=10)
    await rig.fill(await rig.order(), "60000")
    position = (await rig.event("position_updated"))["positionId"]
    request = await rig.send("close", positionId=position)
    closing = await rig.order(seen=1)
    assert (closing.side, closing.reduce_only, closing.self_trade_prevention) == ("BUY", True, "EXPIRE_MAKER")
    await rig.fill(closing, "59000", "0.005")
    assert (await rig.event("position_reduced"))["remainingQty"] == 0.015
    await rig.fill(closing, "59000")
    done = await rig.result(request)
    assert done["success"]
    assert done["position"]["status"] == "CLOSED"
    assert done["trade"]["quantity"] == 0.02
    assert done["trade"]["realizedPnl"] == pytest.approx(20 - 0.02 * 59000 * 0.0005)
    assert (await rig.event("position_closed"))["newBalance"] == done["newBalance"]
    await rig.committed(3)
    await rig.assert_equal()


async def test_a_flip_is_one_order_and_two_position_events(rig: Rig) -> None:
    account = await rig.create("one")
    await rig.send("trade", subAccountId=account, symbol="BTCUSDT", side="BUY", quantity=0.02, leverage=10)
    await rig.fill(await rig.order(), "60000")
    await rig.event("position_updated")
    request = await rig.send("trade", subAccountId=account, symbol="BTCUSDT", side="SELL", quantity=0.05, leverage=5)
    placed = await rig.order(seen=1)
    assert not placed.answer
    await rig.fill(placed, "61000")
    done = await rig.result(request)
    assert done["flipped"]
    assert len(done["orders"]) == 1
    closed = await rig.event("position_closed")
    opened = await rig.event("position_updated", 2)
    assert (closed["reason"], closed["side"]) == ("FLIP", "LONG")
    assert (opened["side"], opened["quantity"], opened["leverage"]) == ("SHORT", 0.03, 5)


async def test_wait_for_final_and_a_refusal_of_the_exchange(rig: Rig) -> None:
    account = await rig.create("one")
    trade = {"subAccountId": account, "symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01, "leverage": 10}
    request = await rig.send("trade", **trade, waitFor="final", maxSlippagePct=0.5)
    placed = await rig.order()
    assert (placed.order_type, placed.time_in_force, placed.price) == ("LIMIT", "IOC", D("60300.1"))
    await rig.rest(placed)
    await rig.end(placed, "rejected", error_code="EXCHANGE_MARGIN_INSUFFICIENT", error="Margin is insufficient.")
    refused = await rig.result(request)
    assert refused["errorCode"] == "EXCHANGE_MARGIN_INSUFFICIENT"
    free = await rig.ask("validate", **trade)
    assert free["computedValues"]["availableBalance"] == 10_000, "nothing stays reserved"


async def test_refusals_reach_the_sender(rig: Rig) -> None:
    account = await rig.create("one", 100)
    trade = {"subAccountId": account, "symbol": "BTCUSDT", "side": "BUY", "leverage": 10}
    for fields, code in (
        ({**trade, "quantity": 1}, "INSUFFICIENT_MARGIN"),
        ({**trade, "quantity": 0.01, "symbol": "NOPEUSDT"}, "SYMBOL_UNKNOWN"),
        ({**trade, "quantity": 0.0001}, "FILTER_QUANTITY"),
        ({**trade, "quantity": 0.01, "subAccountId": "nobody"}, "ACCOUNT_NOT_FOUND"),
        ({**trade, "quantity": 0.01, "reduceOnly": True}, "REDUCE_ONLY_REJECTED"),
        ({**trade, "quantity": "NaN"}, "VALIDATION_FAILED"),
    ):
        refused = await rig.ask("trade", **fields)
        assert refused["errorCode"] == code, refused
    assert (await rig.ask("close", positionId="nope"))["errorCode"] == "POSITION_NOT_FOUND"
    assert not rig.placed


async def test_quantities_that_js_does_not_round_are_rounded_down_and_said_so(rig: Rig) -> None:
    account = await rig.create("one")
    request = await rig.send(
        "trade", subAccountId=account, symbol="BTCUSDT", side="LONG", quantity=0.0014925373134328358, leverage=10
    )
    placed = await rig.order()
    assert placed.quantity == D("0.001")
    await rig.fill(placed, "60000.1")
    assert (await rig.result(request))["warnings"] == ["quantity was rounded down to 0.001"]


async def test_r33_opposite_accounts_can_both_always_close(rig: Rig) -> None:
    accounts = [await rig.create("long"), await rig.create("short")]
    for seen, (account, side) in enumerate(zip(accounts, ("BUY", "SELL"), strict=True)):
        await rig.send("trade", subAccountId=account, symbol="BTCUSDT", side=side, quantity=0.01, leverage=10)
        await rig.fill(await rig.order(seen=seen), "60000")
        await rig.event("position_updated", seen + 1)
    assert rig.exchange.positions["BTCUSDT", "BOTH"][0] == 0
    positions = [event["positionId"] for event in await rig.events() if event["type"] == "position_updated"]
    for seen, position in enumerate(positions, start=2):
        request = await rig.send("close", positionId=position)
        closing = await rig.order(seen=seen)
        assert not closing.reduce_only_on_venue
        await rig.fill(closing, "60500")
        assert (await rig.result(request))["success"]
    await rig.committed(4)
    await rig.assert_equal()


async def test_a_first_trade_waits_for_its_price_and_blocks_nobody(rig: Rig) -> None:
    account = await rig.create("one")
    trade = {"subAccountId": account, "side": "BUY", "quantity": 0.1, "leverage": 10}
    waiting = await rig.send("trade", symbol="ETHUSDT", **trade)
    await rig.send("trade", symbol="BTCUSDT", **trade)
    assert (await rig.order()).symbol == "BTCUSDT"
    leases: list[WatchLease] = [
        watch_lease.decode(fields[b"data"]) for _, fields in await rig.redis.xrange(rig.names.watch)
    ]
    assert "ETHUSDT" in leases[-1].symbols
    assert await rig.redis.get(rig.names.result(waiting)) is None
    rig.prices["ETHUSDT"] = (3000.0, 3000.1)
    assert (await rig.order(seen=1)).symbol == "ETHUSDT"


async def test_a_first_trade_without_a_price_is_refused_after_two_seconds(rig: Rig) -> None:
    account = await rig.create("one")
    refused = await rig.ask("trade", subAccountId=account, symbol="ETHUSDT", side="BUY", quantity=0.1, leverage=10)
    assert refused["errorCode"] == "NO_PRICE"


async def test_gates_and_frozen_accounts_refuse_new_risk_only(rig: Rig) -> None:
    account = await rig.create("one")
    trade = {"subAccountId": account, "symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01, "leverage": 10}
    await rig.send("trade", **trade)
    await rig.fill(await rig.order(), "60000")
    position = (await rig.event("position_updated"))["positionId"]
    assert (await rig.ask("trading_state", state="reducing", symbol="BTCUSDT"))["state"] == "reducing"
    assert (await rig.ask("trade", **trade))["errorCode"] == "TRADING_REDUCING"
    assert (await rig.ask("account", action="freeze", subAccountId=account))["status"] == "FROZEN"
    await rig.kill()
    await rig.start()
    assert (await rig.ask("trade", **trade))["errorCode"] == "ACCOUNT_FROZEN"
    await rig.send("close", positionId=position)
    await rig.fill(await rig.order(seen=1), "60000")
    await rig.event("position_closed")
    assert (await rig.ask("trading_state", state="halted"))["success"]
    assert (await rig.ask("account", action="unfreeze", subAccountId=account))["status"] == "ACTIVE"
    assert (await rig.ask("trade", **trade))["errorCode"] == "TRADING_HALTED"


async def test_deposits_are_backed_by_the_wallet(rig: Rig) -> None:
    account = await rig.create("one", 1000)
    deposit = {"action": "deposit", "subAccountId": account}
    assert (await rig.ask("account", **deposit, amount=10**6))["errorCode"] == "HOUSE_UNFUNDED"
    assert (await rig.ask("account", **deposit, amount=500, requestId="d1"))["balance"] == 1500
    assert (await rig.ask("account", **deposit, amount=500, requestId="d1"))["balance"] == 1500
    assert (await rig.ask("account", **deposit, amount=600, requestId="d1"))["errorCode"] == "REQUEST_ID_REUSED"
    withdraw = {"action": "withdraw", "subAccountId": account}
    assert (await rig.ask("account", **withdraw, amount=1501))["errorCode"] == "INSUFFICIENT_BALANCE"
    assert (await rig.ask("account", **withdraw, amount=1000))["balance"] == 500
    assert (await rig.ask("account", **deposit, amount=10**6, allowUnfunded=True))["balance"] == 1_000_500
    assert (await rig.ask("account", action="create", name="one"))["errorCode"] == "ACCOUNT_ALREADY_EXISTS"
    await rig.assert_equal()


async def test_a_drift_freezes_its_symbol_and_is_told(rig: Rig) -> None:
    account = await rig.create("one")
    rig.exchange.execute("-", "BTCUSDT", "BUY", D("0.5"), D(60000))
    await rig.facts()
    drift = await rig.event("reconciliation_drift")
    assert (drift["symbol"], drift["virtualQty"], drift["exchangeQty"]) == ("BTCUSDT", 0, 0.5)
    refused = await rig.ask("trade", subAccountId=account, symbol="BTCUSDT", side="BUY", quantity=0.01, leverage=10)
    assert refused["errorCode"] == "SYMBOL_FROZEN"
