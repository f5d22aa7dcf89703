"""What one worker has for itself: a Redis, a database and, for each schedule, an exchange.

Owns their addresses and what can be done to them from outside. Used by the stage.
"""

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import aiohttp
import asyncpg
from redis.asyncio import Redis
from tests.faults.plan import ACCOUNTS, MIDDLES, STEPS, TICKS

from pms_common.db import connect
from pms_simulator.app import views
from pms_simulator.app.request import Request
from pms_simulator.app.routes import orders as routes
from pms_simulator.domain.account import Account
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.limits import LimitConfig
from pms_simulator.domain.orders import Order
from pms_simulator.main import Simulator, start
from pms_simulator.settings import SimConfig

PLENTY = LimitConfig(weight_per_minute=1_000_000, orders_per_minute=100_000, orders_per_ten_seconds=100_000)
LEFT_WITHIN_S = 300.0
ANSWERS_WITHIN_S = 300.0
"""Hastened seconds; the library's own five would be one of ours."""
TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
    " WHERE schemaname = 'pms_orders' OR tablename = 'pending_orders'"
)
KNOWN = (
    "INSERT INTO sub_accounts (id, name, initial_balance, current_balance, updated_at)"
    " SELECT id, '', 0, 0, now() FROM unnest($1::text[]) AS id"
)
"""`pending_orders` has rows of accounts only that the JS application knows."""
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class World:
    """Servers of one worker."""

    def __init__(self, redis_url: str, redis_port: int, database_url: str, database_port: int) -> None:
        self.redis_url, self.database_url = redis_url, database_url
        self._ports = {redis_port: "redis", database_port: "database"}
        self.redis: Redis
        self._database: Any = None
        self._http: aiohttp.ClientSession
        self._empty = ""
        self.exchange: Exchange

    async def open(self) -> None:
        """Connect."""
        patience = {"socket_timeout": ANSWERS_WITHIN_S, "socket_connect_timeout": ANSWERS_WITHIN_S}
        self.redis = Redis.from_url(self.redis_url, single_connection_client=True, **patience)
        self._database = await connect(self.database_url, "faults")
        self._http = aiohttp.ClientSession()
        await self._database.execute("SET session_replication_role = replica")  # history is append-only by triggers
        await self._database.execute(KNOWN, list(ACCOUNTS))
        self._empty = "; ".join(f"DELETE FROM {row[0]}" for row in await self._database.fetch(TABLES))

    async def close(self) -> None:
        """Disconnect."""
        await self._http.close()
        await self._database.close()
        await self.redis.aclose()

    async def begin(self) -> dict[str, str]:
        """Nothing is left of the last schedule, and the exchange is new; its addresses as settings."""
        async with asyncio.timeout(LEFT_WITHIN_S):  # a killed life may still commit
            while await self._database.fetchval(f"SELECT count(*) {OTHERS}"):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
        await self._database.execute(self._empty)
        await self.redis.flushall()
        self.exchange = Exchange(await start(SimConfig(port=0, market="manual", symbols=tuple(MIDDLES), limits=PLENTY)))
        simulator = self.exchange.simulator
        for symbol, middle in MIDDLES.items():
            ask, size = str(middle + TICKS[symbol]), str(STEPS[symbol] * 100)
            await self.control("/sim/market", symbol=symbol, bid=str(middle), ask=ask, bidQty=size, askQty=size)
        return {
            "PMS_REDIS_URL": self.redis_url,
            "PMS_DATABASE_URL": self.database_url,
            "PMS_BINANCE_REST_URL": simulator.url,
            "PMS_BINANCE_WS_URL": simulator.ws_url,
            "PMS_BINANCE_WSAPI_URL": simulator.ws_api_url,
        }

    @property
    def ports(self) -> dict[int, str]:
        """Who listens on which port."""
        return {**self._ports, self.exchange.simulator.port: "venue"}

    async def control(self, path: str, **body: Any) -> Any:
        """Have the simulator do something."""
        async with self._http.post(self.exchange.simulator.url + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def calm(self) -> None:
        """No fault any more."""
        async with self._http.delete(self.exchange.simulator.url + "/sim/faults") as answer:
            assert answer.status == 200

    async def cut_redis(self) -> None:
        """Every connection to Redis but ours breaks."""
        await self.redis.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")

    async def cut_database(self) -> None:
        """Every connection to the database but ours breaks."""
        await self._database.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}")

    async def rows(self, query: str) -> list[asyncpg.Record]:
        """What the journal has."""
        found: list[asyncpg.Record] = await self._database.fetch(query)
        return found


class Exchange:
    """The simulator, seen from inside: what is true."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.venue = simulator.venue
        self.placed: Counter[str] = Counter()
        self.placed_again: list[str] = []
        """Client order ids of placements that came after one that was executed."""
        self._place = self.venue.engine.place
        self.venue.engine.place = self._watched_place

    @property
    def account(self) -> Account:
        """The one account."""
        return self.venue.engine.accounts["main"]

    def _watched_place(self, account: Account, order: Order, now_ms: int, *, only_test: bool = False) -> Order:
        if self.placed[order.client_id]:
            self.placed_again.append(order.client_id)
        placed = self._place(account, order, now_ms, only_test=only_test)
        self.placed[order.client_id] += 1
        return placed

    def orders(self) -> list[dict[str, Any]]:
        """Every order there has been."""
        return [views.queried(order) for order in self.account.orders()]

    def trades(self) -> list[dict[str, Any]]:
        """Every execution."""
        return [views.trade(trade) for trade in self.account.trades]

    def positions(self) -> dict[tuple[str, str], Decimal]:
        """What is held, by symbol and leg."""
        return {
            (symbol, leg.side): Decimal(held.spec.qty_text(leg.quantity))
            for symbol, held in self.account.holdings.items()
            for leg in held.legs.values()
            if leg.quantity
        }

    def place_foreign(self, name: str, terms: dict[str, str]) -> bool:
        """An order that another client of the same account places; whether it was taken."""
        params = {**terms, "type": "LIMIT", "timeInForce": "GTC", "newClientOrderId": name}
        now_ms = self.venue.now_ms()
        try:
            routes.place(self.venue, Request(params, now_ms, self.account))
        except VenueError:
            return False
        finally:
            self.venue.flush(now_ms)
        return True
