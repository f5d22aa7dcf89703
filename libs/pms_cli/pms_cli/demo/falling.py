"""The demo's last phase: the price falls until the liquidation tiers of a third account act.

Owns that account, the fall of the simulated market and what is told of it. Used by the session.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
from redis.asyncio import Redis

if TYPE_CHECKING:
    from pms_cli.demo.session import Session

SIZE = "0.5"
EQUITY = 0.08
"""Of the position's notional: a fall of 2.4 % reaches the first reduction."""
MAINTENANCE_RATE = 0.05
SLIDE, CRASH = -0.01, -0.06
"""Of the price, a second: slow enough for single tiers, then too fast for them."""
FALLS_WITHIN_S = 40.0
WATCHED = ("margin_warning", "adl_triggered", "full_liquidation")


async def falling_price(session: "Session") -> None:
    """Carol is long with little behind it; the market falls until nothing is left of it."""
    price = (await session.price())["bid"]
    balance = round(float(SIZE) * price * EQUITY)
    carol = (await session.send("account", action="create", name="carol", balance=balance))["subAccountId"]
    rules = {"maxNotionalPerTrade": 1_000_000, "maxTotalExposure": 1_000_000}
    await session.send("account", action="set_rules", subAccountId=carol, **rules)
    await session.send("account", action="set_mode", subAccountId=carol, maintenanceRate=MAINTENANCE_RATE)
    bought = await session.order("trade", carol, "BUY", SIZE, waitFor="final", leverage=50)
    session.tell(f"carol buys {SIZE} at {bought['avgFillPrice']} with {balance:,} USDT, and the market begins to fall")
    async with Redis.from_url(session.place.redis) as client, client.pubsub() as events:
        await events.subscribe(*[session.place.names.event_channel(type_) for type_ in WATCHED])
        await _move(session, SLIDE)
        async for event in _events_of(events, carol):
            session.tell(_sentence(event))
            if event["type"] == "adl_triggered":
                await _move(session, CRASH)
            if event["type"] == "full_liquidation":
                break
    await _move(session, 0.0)


async def _move(session: "Session", drift: float) -> None:
    body = {"symbol": session.symbol, "drift": drift}
    async with aiohttp.ClientSession() as http, http.post(f"{session.place.simulator}/sim/market", json=body) as answer:
        answer.raise_for_status()


async def _events_of(events: Any, account: str) -> AsyncIterator[dict[str, Any]]:
    async with asyncio.timeout(FALLS_WITHIN_S):
        while True:
            message = await events.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is not None and (event := json.loads(message["data"]))["subAccountId"] == account:
                yield event


def _sentence(event: dict[str, Any]) -> str:
    ratio = f"carol's margin ratio is {event['marginRatio']:.0%}"
    if event["type"] == "margin_warning":
        return f"{ratio}: warned"
    closed = ", ".join(f"{held['closedQty']:g} of {held['symbol']}" for held in event["positions"])
    if event["type"] == "adl_triggered":
        return f"{ratio}: tier {event['tier']} closes {closed}"
    return f"{ratio}: everything is closed ({event['mode']}, {closed}), {event['account']['balance']:.2f} USDT are left"
