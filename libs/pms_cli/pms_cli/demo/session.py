"""What the demo's accounts do: every command of the slice, as a JS backend would write it.

Owns the order of the steps. Talks to the system only through its public streams. Used by `run`.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from pms_cli.commands.send import request
from pms_cli.demo.algos import scalp, spread_over_time, trail
from pms_cli.demo.falling import FALLS_WITHIN_S, falling_price
from pms_cli.system.place import Place

Tell = Callable[[str], None]
Step = Callable[["Session"], Awaitable[None]]
RESULT_WITHIN_S = 15.0
CHASE_WITHIN_S = 20.0


class DemoError(Exception):
    """A step did not end as it must; the text says which and how."""


class Session:
    """Two accounts trading BTCUSDT. `tell` hears each step's outcome."""

    symbol = "BTCUSDT"

    def __init__(self, place: Place, tell: Tell) -> None:
        self.place = place
        self.tell = tell
        self.alice = self.bob = ""
        self.commands = 0

    async def play(self, seconds: float) -> None:
        """All steps, spread over `seconds`."""
        pause = seconds / len(STEPS)
        for step in STEPS:
            await step(self)
            await asyncio.sleep(pause)

    async def send(self, command: str, **body: Any) -> dict[str, Any]:
        """A command that must succeed."""
        result = await self.try_send(command, **body)
        if not result.get("success"):
            raise DemoError(f"{command} {body}: {result.get('errorCode')}: {result.get('error')}")
        return result

    async def try_send(self, command: str, **body: Any) -> dict[str, Any]:
        """A command with any answer."""
        self.commands += 1
        body = {"requestId": f"demo-{uuid.uuid4().hex[:12]}", **body}
        result = await request(self.place, command, body, RESULT_WITHIN_S)
        if result is None:
            raise DemoError(f"{command}: no result within {RESULT_WITHIN_S:g} s")
        return result

    async def order(self, command: str, account: str, side: str, quantity: str, **more: Any) -> dict[str, Any]:
        """An order in the demo's symbol, at tenfold leverage where nothing else is said."""
        body = {"symbol": self.symbol, "side": side, "quantity": quantity, "leverage": 10}
        return await self.send(command, subAccountId=account, **body | more)

    async def price(self) -> dict[str, Any]:
        """The cached price of the demo's symbol."""
        return await self._cached(self.place.names.price(self.symbol))

    async def positions(self, account: str) -> list[dict[str, Any]]:
        """The account's positions, from its cached snapshot."""
        snapshot = await self._cached(self.place.names.risk(account))
        positions: list[dict[str, Any]] = snapshot["positions"]
        return positions

    async def position(self, account: str, within_s: float = 5.0) -> dict[str, Any]:
        """The account's only position, once the snapshot shows it."""
        for _ in range(int(within_s / 0.05)):
            if held := await self.positions(account):
                return held[0]
            await asyncio.sleep(0.05)
        raise DemoError(f"{account} shows no position")

    async def _cached(self, key: str) -> dict[str, Any]:
        async with Redis.from_url(self.place.redis) as client:
            for _ in range(200):
                if text := await client.get(key):
                    value: dict[str, Any] = json.loads(text)
                    return value
                await asyncio.sleep(0.05)
        raise DemoError(f"{key} is empty")


async def _open_accounts(session: Session) -> None:
    for name, balance in (("alice", 20_000), ("bob", 10_000)):
        account = (await session.send("account", action="create", name=name, balance=balance))["subAccountId"]
        setattr(session, name, account)
        rules = {"maxNotionalPerTrade": 100_000, "maxTotalExposure": 200_000}
        await session.send("account", action="set_rules", subAccountId=account, **rules)
    session.tell("alice and bob have accounts of 20,000 and 10,000 USDT on one exchange account")


async def _alice_buys(session: Session) -> None:
    result = await session.order("trade", session.alice, "BUY", "0.05", waitFor="final")
    session.tell(f"alice buys 0.05 at market: filled at {result['avgFillPrice']}")


async def _bob_sells(session: Session) -> None:
    result = await session.order("trade", session.bob, "SELL", "0.02", waitFor="final")
    session.tell(f"bob sells 0.02 at market, against alice: filled at {result['avgFillPrice']}")


async def _limit_and_cancel(session: Session) -> None:
    price = int((await session.price())["bid"] * 0.99)
    placed = await session.order("limit", session.alice, "BUY", "0.01", price=price)
    cancelled = await session.send("cancel", orderId=placed["orderId"])
    session.tell(f"alice rests 0.01 at {price} and cancels it: {cancelled['state']}")


async def _refusals(session: Session) -> None:
    order = {"subAccountId": session.bob, "symbol": session.symbol, "side": "BUY", "leverage": 10}
    bad = await session.try_send("trade", **order, quantity=-1)
    session.tell(f"bob mistypes: {bad['errorCode']}: {bad['error']}")
    large = await session.try_send("trade", **order, quantity=10)
    session.tell(f"bob wants too much: {large['errorCode']}: {large['error']}")


async def _chase(session: Session) -> None:
    async with Redis.from_url(session.place.redis) as client, client.pubsub() as events:
        names = session.place.names
        await events.subscribe(names.event_channel("chase_filled"), names.event_channel("chase_cancelled"))
        chase = await session.order("chase", session.bob, "BUY", "0.01", stalkMode="none", stalkOffsetPct=0)
        session.tell(f"bob chases the bid for 0.01, starting at {chase['currentOrderPrice']}")
        ended = await _event_of(events, chase["chaseId"])
        if ended is not None and ended["type"] == "chase_filled":
            session.tell(f"the chase filled at {ended['fillPrice']} after {ended['repriceCount']} amends")
            return
        await session.send("chase_cancel", chaseId=chase["chaseId"])
        session.tell("the market did not come to the chase; bob cancels it")


async def _event_of(events: Any, chase_id: str) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(CHASE_WITHIN_S):
            while True:
                message = await events.get_message(ignore_subscribe_messages=True, timeout=1.0)
                if message is not None and (event := json.loads(message["data"]))["chaseId"] == chase_id:
                    return dict(event)
    except TimeoutError:
        return None


async def _flip(session: Session) -> None:
    result = await session.order("trade", session.alice, "SELL", "0.08", waitFor="final")
    session.tell(f"alice sells 0.08: her long closes and 0.03 short opens at {result['avgFillPrice']}")


async def _close(session: Session) -> None:
    held = await session.position(session.bob)
    result = await session.send("close", positionId=held["id"])
    session.tell(f"bob closes: {result['trade']['realizedPnl']:+.4f} USDT, balance {result['newBalance']:.4f}")


async def _falling_price(session: Session) -> None:
    try:
        await falling_price(session)
    except TimeoutError:
        raise DemoError(f"the tiers have not closed everything within {FALLS_WITHIN_S:g} s") from None


STEPS: tuple[Step, ...] = (
    *(_open_accounts, _alice_buys, _bob_sells, _limit_and_cancel, _refusals, _chase, spread_over_time, _flip),
    *(trail, scalp, _close),
    _falling_price,
)
