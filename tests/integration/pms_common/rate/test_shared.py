"""Counts and bans of an address in a real Redis: shared by processes, kept across restarts, safe while it is away."""

import asyncio

import redis.asyncio
from tests.integration.pms_orders.desk import free_port

from pms_common.clock import monotonic_ms
from pms_common.names import Names
from pms_common.rate.shared import SharedRate
from pms_common.rate.window import Window

LIMIT = 2_400


class Process:
    """One process on the address."""

    def __init__(self, names: Names, redis_url: str, away: float = 0.4) -> None:
        self.weight = Window(60_000, LIMIT, shared=True)
        self.orders = Window(10_000, 300)
        self.blocked_until_ms = 0
        self.redis = redis.asyncio.Redis.from_url(redis_url)
        windows = {names.rate("x", "weight"): self.weight, names.rate("x", "orders:a:10000"): self.orders}
        self.rate = SharedRate(self.redis, names.rate("x", "ban"), windows, self, away)

    def block(self, until_ms: int) -> None:
        self.blocked_until_ms = max(self.blocked_until_ms, until_ms)


async def test_what_one_process_uses_another_knows(names: Names, redis_url: str) -> None:
    one, other = Process(names, redis_url), Process(names, redis_url)
    for process in (one, other):
        assert await process.rate.sync()
    one.weight.take(monotonic_ms(), 100)
    other.weight.take(monotonic_ms(), 20)
    for process in (one, other, one):
        assert await process.rate.sync()
    assert one.weight.used == other.weight.used == 120
    for process in (one, other):
        await process.redis.aclose()


async def test_r25_processes_that_take_all_they_may_stay_inside_the_limit(names: Names, redis_url: str) -> None:
    processes = [Process(names, redis_url) for _ in range(3)]
    used = 0
    for _ in range(40):
        for process in processes:
            assert await process.rate.sync()
        for process in processes:
            now_ms = monotonic_ms()
            room = process.weight.room(now_ms, 0.75)
            process.weight.take(now_ms, room)
            used += room
    assert 0.75 * LIMIT <= used <= 0.75 * LIMIT + 2 * processes[0].weight.credit
    for process in processes:
        await process.redis.aclose()


async def test_r25_a_ban_reaches_every_process_and_the_next_one(names: Names, redis_url: str) -> None:
    one, other = Process(names, redis_url), Process(names, redis_url)
    running = asyncio.create_task(other.rate.run())
    one.block(monotonic_ms() + 60_000)
    assert await one.rate.sync()
    async with asyncio.timeout(30):
        while not other.blocked_until_ms:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    successor = Process(names, redis_url)
    assert await successor.rate.sync()
    for process in (other, successor):
        assert abs(process.blocked_until_ms - one.blocked_until_ms) < 1_000
    one.block(monotonic_ms() + 1_000)  # a shorter one does not end the longer
    assert await one.rate.sync()
    assert await one.redis.pttl(names.rate("x", "ban")) > 50_000
    for process in (one, other, successor):
        await process.redis.aclose()


async def test_a_successor_knows_what_the_account_has_sent(names: Names, redis_url: str) -> None:
    one = Process(names, redis_url)
    one.orders.take(monotonic_ms(), 290)
    assert await one.rate.sync()
    successor = Process(names, redis_url)
    assert await successor.rate.sync()
    now_ms = monotonic_ms()
    assert successor.orders.room(now_ms) == 10 and successor.orders.room(now_ms + 12_500) == 300
    for process in (one, successor):
        await process.redis.aclose()


async def test_without_redis_a_process_keeps_to_its_own_share(names: Names, redis_url: str) -> None:
    alone = Process(names, f"redis://127.0.0.1:{free_port()}", away=0.15)
    assert not await alone.rate.sync()
    now_ms, used = monotonic_ms(), 0
    while room := alone.weight.room(now_ms):
        alone.weight.take(now_ms, room)
        used += room
        assert not await alone.rate.sync()
    assert used == 0.15 * LIMIT
    assert alone.orders.room(now_ms) == 300
    await alone.redis.aclose()
