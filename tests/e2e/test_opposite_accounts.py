"""R-21: two accounts hold the opposite of each other, so the exchange holds nothing; each can close all the same."""

import asyncio
import json
import uuid
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from pms_cli.books import settled_books, sim_state
from pms_cli.commands.send import request
from pms_cli.system.place import Place

pytestmark = pytest.mark.slow
ORDER = {"symbol": "BTCUSDT", "leverage": 10}
HALF = 0.025


async def command(place: Place, type_: str, **body: Any) -> dict[str, Any]:
    result = await request(place, type_, {"requestId": uuid.uuid4().hex, **body}, 60)
    assert result is not None and result["success"], (type_, body, result)
    return result


async def account_with(place: Place, side: str) -> tuple[str, str]:
    """A new account with a position of two halves; the account and the position."""
    account = (await command(place, "account", action="create", name=f"r21 {side}", balance=20_000))["subAccountId"]
    rules = {"maxNotionalPerTrade": 100_000, "maxTotalExposure": 100_000}
    await command(place, "account", action="set_rules", subAccountId=account, **rules)
    await command(place, "trade", **ORDER, subAccountId=account, side=side, quantity=2 * HALF, waitFor="final")
    async with Redis.from_url(place.redis) as client, asyncio.timeout(60):
        while True:
            if (text := await client.get(place.names.risk(account))) and (held := json.loads(text)["positions"]):
                return account, str(held[0]["id"])
            await asyncio.sleep(0.05)


async def placements(place: Place) -> list[dict[str, str]]:
    async with aiohttp.ClientSession() as http, http.get(f"{place.simulator}/sim/requests") as answer:
        return [item["params"] for item in await answer.json() if item["name"] == "order.place"]


async def test_r21_closes_succeed_once_where_the_exchange_has_nothing_to_reduce(system: Place) -> None:
    long, long_position = await account_with(system, "BUY")
    _, short_position = await account_with(system, "SELL")
    far = int(float((await sim_state(system))["markets"]["BTCUSDT"]["ask"]) * 1.02)
    closer = {**ORDER, "subAccountId": long, "side": "SELL", "quantity": HALF, "price": far, "reduceOnly": True}
    resting = await command(system, "limit", **closer)  # stands for the other half
    before = len(await placements(system))
    await command(system, "close", positionId=long_position, quantity=HALF)
    await command(system, "close", positionId=short_position)
    sent = (await placements(system))[before:]
    assert len(sent) == 2, "each close is one order, and none is sent again"
    assert all(order.get("reduceOnly", "false") == "false" for order in sent), "it would be refused: -2022"
    await command(system, "cancel", clientOrderId=resting["clientOrderId"])
    assert (await settled_books(system)).equal
