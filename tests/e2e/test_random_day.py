"""A random day of 50 accounts: the books end equal to the exchange, to the cent and to the contract (R-18, R-20, R-33).

Market orders, resting orders, closes, cancels and deposits of all accounts at once; fundings on two symbols,
commissions in BNB, an ADL, a trade by hand and payments of the exchange in between; risk is killed amid them.
"""

import asyncio
import hashlib
import hmac
import json
import os
import random
import signal
import time
import uuid
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis
from tests.chaos.conftest import LIMITS
from tests.chaos.trading import pids

from pms_cli.books import UNIT, settled_books, sim_state
from pms_cli.commands.send import request
from pms_cli.ledgers import check_ledgers
from pms_cli.system.place import READY_FILE, Place
from pms_cli.system.running import running_system
from pms_common.db import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SEED = 20
ACCOUNTS = 50
ROUNDS = 10
SYMBOLS = {"BTCUSDT": 0.002, "ETHUSDT": 0.05}
WAIT_S = 120.0
HERE_IS_ALL = "sim-key", "sim-secret"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Any]]:
    """A system of its own, on a market that moves."""
    folder = tmp_path_factory.mktemp("day")
    env = {"PMS_SIM_SYMBOLS": "BTCUSDT,ETHUSDT,BNBUSDT", "PMS_SIM_BALANCE": "1000000", "PMS_SIM_SEED": str(SEED)}
    env |= dict.fromkeys((f"PMS_SIM_LIMIT_{name}" for name in LIMITS), "100000")
    with running_system(folder, env) as (place, _):
        yield place, folder / READY_FILE


class Day:
    """Who trades, and what happens to them."""

    def __init__(self, place: Place, http: aiohttp.ClientSession, redis: "Redis") -> None:
        self.place, self.http, self.redis = place, http, redis
        self.random = random.Random(SEED)
        self.accounts: list[str] = []
        self.refused: dict[str, int] = {}
        self._busy = asyncio.Semaphore(25)

    async def command(self, type_: str, **body: Any) -> dict[str, Any]:
        async with self._busy:
            result = await request(self.place, type_, {"requestId": uuid.uuid4().hex, **body}, WAIT_S)
        assert result is not None, f"{type_} {body} was not answered"
        if not result["success"]:
            self.refused[result["errorCode"]] = self.refused.get(result["errorCode"], 0) + 1
        return result

    async def sim(self, path: str, **body: Any) -> Any:
        async with self.http.post(f"{self.place.simulator}/sim/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def pay_in_bnb(self) -> None:
        await self.sim("deposit", amount="2", asset="BNB")
        key, secret = HERE_IS_ALL
        query = f"feeBurn=true&timestamp={int(time.time() * 1000)}"
        query += "&signature=" + hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self.place.simulator}/fapi/v1/feeBurn?{query}"
        async with self.http.post(url, headers={"X-MBX-APIKEY": key}) as answer:
            assert answer.status == 200, await answer.text()

    async def open(self, number: int) -> None:
        made = await self.command("account", action="create", name=f"day {number}", balance=10_000)
        account = made["subAccountId"]
        wide = {"maxNotionalPerTrade": 100_000, "maxTotalExposure": 100_000, "maxOpenOrders": 100}
        await self.command("account", action="set_rules", subAccountId=account, **wide)
        self.accounts.append(account)

    async def act(self, account: str) -> None:
        """One thing that a trader does."""
        chance = self.random
        symbol = chance.choice(list(SYMBOLS))
        order = {
            "subAccountId": account,
            "symbol": symbol,
            "side": chance.choice(["BUY", "SELL"]),
            "quantity": SYMBOLS[symbol] * chance.randint(1, 4),
            "leverage": chance.choice([5, 10, 20]),
        }
        kind = chance.choice(["trade", "trade", "trade", "limit", "limit", "close", "cancel_all", "deposit"])
        away = chance.choice([-0.0002, 0.0002, 0.01])
        if kind == "trade":
            await self.command("trade", **order)
        elif kind == "limit":
            book = json.loads(await self.redis.get(self.place.names.price(symbol)))
            price = book["bid"] * (1 - away) if order["side"] == "BUY" else book["ask"] * (1 + away)
            await self.command("limit", **order, price=round(price, 1))
        elif kind == "close":
            held = json.loads(await self.redis.get(self.place.names.risk(account)) or b'{"positions":[]}')["positions"]
            if held:
                await self.command("close", positionId=chance.choice(held)["id"])
        elif kind == "cancel_all":
            await self.command("cancel_all", subAccountId=account)
        else:
            await self.command("account", action="deposit", subAccountId=account, amount=chance.randint(1, 50))

    async def between(self, number: int) -> None:
        """What the exchange does between two rounds; the market stands still, so that its millisecond is its own."""
        chance = self.random
        for symbol in SYMBOLS:
            await self.sim("market", symbol=symbol, paused=True)
        await asyncio.sleep(0.05)
        for symbol in SYMBOLS:
            await self.sim("funding", symbol=symbol, rate=str(chance.choice([-1, 1]) * chance.randint(1, 30) / 10_000))
        await self.sim("deposit", amount="25.5", kind="TRANSFER")
        await self.sim("deposit", amount="0.001", asset="BNB", kind="COMMISSION_REBATE", symbol="BTCUSDT")
        if number == 1:
            hand = {"kind": "foreign_order", "symbol": "BTCUSDT", "quantity": "0.005", "type": "MARKET"}
            await self.sim("faults", **hand, side="BUY")
        elif number == 2:
            await self.adl()
        await asyncio.sleep(0.05)
        for symbol in SYMBOLS:
            await self.sim("market", symbol=symbol, paused=False)

    async def funded(self, fundings: int) -> None:
        """Wait until all of them are settled with their holders."""
        connection = await connect(self.place.database, "day")
        try:
            async with asyncio.timeout(WAIT_S):
                while await connection.fetchval("SELECT count(*) FROM pms_risk.fundings") < fundings:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        finally:
            await connection.close()

    async def adl(self) -> None:
        """The exchange takes a part of what the pool holds, on whatever symbol it holds something."""
        for leg in (await sim_state(self.place))["accounts"]["main"]["positions"]:
            if held := abs(float(leg["positionAmt"])):
                await self.sim("faults", kind="adl", symbol=leg["symbol"], quantity=f"{held / 2:.3f}")


async def test_r18_r20_r33_a_random_day_of_50_accounts_ends_equal_to_the_exchange(day: tuple[Place, Any]) -> None:
    place, ready_file = day
    async with aiohttp.ClientSession() as http, Redis.from_url(place.redis) as redis:
        trading = Day(place, http, redis)
        await trading.pay_in_bnb()
        await asyncio.gather(*map(trading.open, range(ACCOUNTS)))
        for number in range(ROUNDS):
            acting = [asyncio.create_task(trading.act(account)) for account in trading.accounts]
            if number == ROUNDS // 2:
                os.kill(pids(ready_file)["risk"], signal.SIGKILL)  # the supervisor starts it again
            await asyncio.gather(*acting)
            await trading.between(number)
        await asyncio.gather(*(trading.command("cancel_all", subAccountId=account) for account in trading.accounts))
        for symbol in SYMBOLS:
            await trading.sim("market", symbol=symbol, paused=True)
        await trading.funded(ROUNDS * len(SYMBOLS))
        books = await settled_books(place, WAIT_S)
        assert books.equal, books
        payments = ROUNDS * len(SYMBOLS) * (ACCOUNTS + 2)  # each of them may be rounded by half a unit
        assert abs(books.house["rounding"]) <= payments * UNIT / 2, "what funding leaves is rounding"
        exchange = (await sim_state(place))["accounts"]["main"]
        events = [json.loads(fields[b"data"]) for _, fields in await redis.xrange(place.names.events)]
    assert await check_ledgers(place.database) == [], "every balance is the sum of its entries"
    told = {event["type"] for event in events}
    assert "reconciliation_drift" not in told
    reasons = {event["reason"] for event in events if event["type"] in ("position_closed", "position_reduced")}
    assert "EXCHANGE_ADL" in reasons, reasons
    assert sum(event.get("reason") == "funding" for event in events) > ACCOUNTS, "each of its own"
    assert len(exchange["trades"]) > 2 * ACCOUNTS, (len(exchange["trades"]), trading.refused)
    assert {trade["commissionAsset"] for trade in exchange["trades"]} == {"BNB"}
    assert {"rounding", "commission", "external", "capital", "income"} <= books.others[
        "BNB"
    ].house.keys() | books.house.keys()
