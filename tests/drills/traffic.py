"""A backend that trades at a steady pace whatever happens, as contract.md tells it: no answer, the same request again.

Owns the times of its commands. What must be true afterwards is `tests.chaos.trading`'s. Used by the drills.
"""

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.chaos.trading import PACE_S, SYMBOL, Trading
from tests.drills.cell import Cell

from pms_common.bus.dial import connected

AGAIN_S = 3.0
"""After the drill, an unanswered request is written again this often."""
ANSWERED_WITHIN_S = 60.0
RECONNECT_S = 0.05


class Traffic(Trading):
    """Three accounts that trade until they are told to end."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell.place)
        self.cell = cell
        self._sent_s: dict[str, float] = {}
        self._answered_s: dict[str, float] = {}
        self._bodies: dict[str, str] = {}
        self._go = asyncio.Event()
        self._go.set()
        self._ended = False

    @contextlib.asynccontextmanager
    async def trading(self) -> AsyncIterator[None]:
        """Trade while the block lasts, then ask again until all is answered."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._write_on())]
        try:
            yield
            self._ended = True
            await tasks[1]
            await self._ask_again()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def follow(self, cell: Cell) -> None:
        """Go on with the cell where it is now."""
        self.cell, self.place = cell, cell.place

    def hold(self) -> None:
        """Write nothing for now."""
        self._go.clear()

    def go_on(self) -> None:
        """Write again."""
        self._go.set()

    async def figures(self) -> dict[str, str]:
        """What it was like to trade meanwhile."""
        waits = sorted(self._answered_s[one] - at for one, at in self._sent_s.items() if one in self._answered_s)
        refused = Counter(
            str(result["errorCode"])
            for one, result in self.results.items()
            if one in self.sent and not result["success"]
        )
        return {
            "commands": str(len(self.sent)),
            "refused": ", ".join(f"{count} {code}" for code, count in refused.most_common()) or "0",
            "answered after": f"{waits[len(waits) // 2] * 1000:.0f} ms, the last {waits[-1]:.1f} s",
            "longest without an order": f"{await self.still_s():.1f} s",
        }

    async def still_s(self, since_s: float = 0.0) -> float:
        """The longest time without an order at the exchange since then."""
        placed = [at for at in await self._placed_s() if at >= since_s]
        return max((after - before for before, after in itertools.pairwise(placed)), default=0.0)

    async def _placed_s(self) -> list[float]:
        """When orders arrived at the exchange."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.place.simulator}/sim/requests") as response:
            ours = {"name": "order.place", "account": self.place.account}
            return [item["timeNs"] / 1e9 for item in await response.json() if ours.items() <= item.items()]

    # -- writing

    async def _write_on(self) -> None:
        price, n = await self._price(), 0
        while not self._ended:
            await self._go.wait()
            request_id, account, command, body = self.compose(n, price)
            self.sent[request_id] = (account, command)
            self._bodies[request_id] = json.dumps(body)
            self._sent_s[request_id] = time.monotonic()
            await self._write_surely(request_id)
            n += 1
            await asyncio.sleep(PACE_S)

    async def _price(self) -> float:
        async with connected(self.cell.redis_url, self.place.names.feed) as client:
            told = await client.get(self.place.names.price(SYMBOL))
        assert told, f"no price of {SYMBOL}"
        return float(json.loads(told)["bid"])

    async def _write_surely(self, request_id: str) -> None:
        """Until Redis has it: written twice is still one request."""
        while True:
            try:
                await self._write_once(request_id)
            except (RedisError, OSError):
                await asyncio.sleep(RECONNECT_S)
            else:
                return

    async def _write_once(self, request_id: str) -> None:
        _, command = self.sent[request_id]
        async with connected(self.cell.redis_url, self.place.names.namespace, socket_timeout=2.0) as client:
            await client.xadd(self.place.names.cmd(command), {"data": self._bodies[request_id]})

    async def _ask_again(self) -> None:
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while missing := [request_id for request_id in self.sent if request_id not in self.results]:
                for request_id in missing:
                    await self._write_surely(request_id)
                await asyncio.sleep(AGAIN_S)

    # -- hearing

    async def _listen(self) -> None:
        while True:
            try:
                async with connected(self.cell.redis_url, self.place.names.namespace) as client:
                    await self._hear(client)
            except (RedisError, OSError):
                await asyncio.sleep(RECONNECT_S)

    async def _hear(self, client: "Redis") -> None:
        async with client.pubsub() as listener:
            await listener.psubscribe(self.place.names.result("*"))
            while True:
                message = await listener.get_message(ignore_subscribe_messages=True, timeout=1.0)
                if message is None:
                    await client.ping()
                    continue
                request_id = message["channel"].decode().rpartition(":")[2]
                if request_id in self.sent and request_id not in self.results:
                    self._answered_s[request_id] = time.monotonic()
                    self.results[request_id] = json.loads(message["data"])
