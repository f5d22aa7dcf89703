"""A falling price on the whole system: tiers act, algos end, risk is killed in the middle, the books stay equal."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis
from tests.chaos.conftest import Broken
from tests.chaos.trading import SYMBOL, Trading

from pms_cli.books import sim_state

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
SIZE = 0.5
WITHIN_S = 90.0


async def drift(broken: Broken, share_a_second: float) -> None:
    body = {"symbol": SYMBOL, "drift": share_a_second}
    async with aiohttp.ClientSession() as http, http.post(f"{broken.place.simulator}/sim/market", json=body) as answer:
        answer.raise_for_status()


async def events_of(events: Any, account: str) -> AsyncIterator[dict[str, Any]]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            message = await events.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is not None and (event := json.loads(message["data"]))["subAccountId"] == account:
                yield event


async def test_r08_risk_is_killed_in_the_middle_of_a_liquidation(broken: Broken) -> None:
    trading = Trading(broken.place)
    await trading.open_accounts()
    account, calm, _ = trading.accounts
    names = broken.place.names
    async with Redis.from_url(broken.place.redis) as client, client.pubsub() as events:
        price = json.loads(await client.get(names.price(SYMBOL)))["bid"]
        spare = 20_000 - round(SIZE * price * 0.08)
        order = {"symbol": SYMBOL, "side": "BUY", "leverage": 50}
        assert (await trading.command("trade", subAccountId=account, quantity=SIZE, waitFor="final", **order))[
            "success"
        ]
        assert (await trading.command("trade", subAccountId=calm, quantity=0.1, waitFor="final", **order))["success"]
        await trading.command("account", action="withdraw", subAccountId=account, amount=spare)
        chase = {**order, "stalkMode": "none", "stalkOffsetPct": 9}
        started = await trading.command("chase", subAccountId=account, quantity=0.01, **chase)
        assert started["success"], started
        resting = {"symbol": SYMBOL, "side": "BUY", "leverage": 50, "quantity": 0.01, "price": int(price * 0.7)}
        limit = await trading.command("limit", subAccountId=account, **resting)
        assert limit["success"], limit
        rate = await trading.command("account", action="set_mode", subAccountId=account, maintenanceRate=0.05)
        assert rate["success"], rate

        types = ("order_placed", "adl_triggered", "full_liquidation", "chase_cancelled", "order_cancelled")
        await events.subscribe(*[names.event_channel(type_) for type_ in types])
        await drift(broken, -0.01)
        seen: list[dict[str, Any]] = []
        killed = 0
        async for event in events_of(events, account):
            seen.append(event)
            if event["type"] == "order_placed" and event["origin"] == "LIQUIDATION" and killed < 2:
                killed += 1
                broken.kill("risk")
                await drift(broken, -0.03)
            if event["type"] == "full_liquidation":
                break
    await drift(broken, 0.0)

    assert killed
    assert limit["orderId"] in [event["clientOrderId"] for event in seen if event["type"] == "order_cancelled"]
    books = await trading.settled()
    assert books.equal, books
    await _closed_once(trading, account, calm)


async def _closed_once(trading: Trading, account: str, calm: str) -> None:
    """What was liquidated is exactly what was held; the other account is as it was; the algo has ended."""
    state = (await sim_state(trading.place))["accounts"]["main"]
    prefix = f"PMS_{account[:8]}_"
    executed = {"BUY": 0.0, "SELL": 0.0}
    for order in state["orders"]:
        if order["clientOrderId"].startswith(prefix):
            executed[order["side"]] += float(order["executedQty"])
    assert executed["SELL"] == pytest.approx(executed["BUY"])
    assert executed["BUY"] >= SIZE
    assert not [order for order in state["openOrders"] if order["clientOrderId"].startswith(prefix)]
    async with Redis.from_url(trading.place.redis) as client:
        names = trading.place.names
        async with asyncio.timeout(WITHIN_S):  # risk may just be starting again
            while True:
                snapshot = json.loads(await client.get(names.risk(account)) or b"{}")
                if (snapshot.get("status"), snapshot.get("positions")) == ("LIQUIDATED", []):
                    break
                await asyncio.sleep(0.1)
        other = json.loads(await client.get(names.risk(calm)))
        assert [held["quantity"] for held in other["positions"]] == [0.1]
        assert not await client.hgetall(names.algos(account))
