"""The bus in a Redis Cluster: each cell on its node, a slot that moves, a master that dies, a feed that cells share."""

import asyncio
import uuid

import pytest
from tests.redis_cluster import RedisCluster

from pms_common.bus import Bus
from pms_common.bus.dial import connected
from pms_common.bus.url import UrlError
from pms_common.contracts.bus.common import Tick
from pms_common.names import Names

FIRST, SECOND, THIRD = "{acct1}", "{acct2}", "{acct3}"
"""Begin namespaces on three nodes."""
MANY = 300


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"), replicas=1)
    asyncio.run(cluster.start())
    yield cluster
    cluster.stop()


@pytest.fixture
async def join(cluster):
    """Makes a bus of a role in the cluster; its namespace and the feed's begin as told."""
    made, rest = [], uuid.uuid4().hex

    async def join(role, tag, feed=THIRD):
        made.append(await Bus.connect(cluster.url, role, Names(tag + rest, feed + rest)))
        return made[-1]

    yield join
    for bus in made:
        await asyncio.wait_for(bus.close(), 10)


class Ear:
    """A consumer that remembers what it handled."""

    def __init__(self, bus):
        self.stream, self.heard, self.bus = bus.names.requests("risk"), [], bus
        self.consumer = bus.consumer("risk", {self.stream: self.take})
        self.task = asyncio.create_task(self.consumer.run())

    def take(self, entry):
        self.heard.append(int(entry.data))
        self.bus.outbox.ack(entry)

    async def stop(self):
        await asyncio.wait_for(self.consumer.stop(), 30)
        await self.task


async def say(bus, numbers):
    for number in numbers:
        bus.outbox.add(bus.names.requests("risk"), str(number).encode())
        await asyncio.sleep(0.002)


async def test_cells_are_on_nodes_of_their_own(cluster, join, until):
    ears = {name: Ear(await join("risk", name)) for name in (FIRST, SECOND)}
    for ear in ears.values():
        await say(ear.bus, range(10))
    await until(lambda: all(ear.heard == list(range(10)) for ear in ears.values()))
    homes = [await cluster.master_of(name) for name in (FIRST, SECOND, THIRD)]
    assert len({home.port for home in homes}) == 3
    for name, ear in ears.items():
        await ear.stop()
        async with connected(cluster.url, name) as client:
            assert await client.xlen(ear.stream) == 10
        assert await cluster.ask(await cluster.master_of(name), "EXISTS", ear.stream) == 1


async def test_ticks_watches_and_rates_are_at_the_feeds_node(cluster, join, until):
    cell, feed = await join("risk", FIRST), await join("feed", THIRD)
    heard = []
    tick = Tick("BTCUSDT", 1.0, 1.0, 2.0, 1.0, 1, 1, 1, 1, 1)
    told = [tick]
    tasks = [
        asyncio.create_task(cell.ticks_reader(cell.names.ticks, "risk", heard.extend).run()),
        asyncio.create_task((writer := feed.ticks_writer(feed.names.ticks, lambda: told)).run()),
    ]
    cell.feed_outbox.add(cell.names.watch, b"{}")
    await cell.feed_outbox.flush()

    async def speak():
        while not heard:
            writer.wake()
            await asyncio.sleep(0.05)

    await asyncio.wait_for(speak(), 10)
    assert heard[0] == tick
    assert await feed.redis.xlen(feed.names.watch) == 1
    await cell.feed_redis.set(cell.names.rate("1.2.3.4", "weight"), 7)
    assert await feed.redis.get(feed.names.rate("1.2.3.4", "weight")) == b"7"
    for task in tasks:
        task.cancel()


async def test_a_slot_that_moves_takes_its_streams_groups_and_marks_along(cluster, join, until):
    ear = Ear(await join("risk", FIRST))
    saying = asyncio.create_task(say(await join("orders", FIRST), range(MANY)))
    await until(lambda: len(ear.heard) > MANY / 4)
    assert await cluster.reshard(FIRST, await cluster.master_of(SECOND)) >= 2
    await saying
    await until(lambda: len(ear.heard) == MANY, seconds=30)
    assert ear.heard == list(range(MANY))
    assert await ear.bus.redis.xlen(ear.stream) == MANY  # redis-py follows, too
    await ear.stop()


@pytest.mark.chaos
@pytest.mark.slow
async def test_a_replica_follows_its_master_that_died(cluster, join, until):
    ear, other = Ear(await join("risk", THIRD)), Ear(await join("risk", FIRST))
    speaker, seen = await join("orders", THIRD), ear.bus.incarnation
    await until(lambda: bool(seen.identity))
    before, master = seen.identity, await cluster.master_of(THIRD)
    saying = asyncio.create_task(say(speaker, range(MANY)))
    await until(lambda: len(ear.heard) > MANY / 4)
    master.process.kill()
    await saying
    await say(other.bus, range(10))
    await until(lambda: other.heard == list(range(10)))  # its node lives
    await cluster.until_another_has(THIRD, master)
    await until(lambda: len(set(ear.heard)) == MANY and seen.identity != before, seconds=30)
    assert await ear.bus.redis.ping()
    await ear.stop()
    await other.stop()


async def test_a_namespace_without_a_hash_tag_is_refused():
    with pytest.raises(UrlError, match=r"'pms': in a Redis Cluster it needs a hash tag"):
        await Bus.connect("redis+cluster://127.0.0.1:1", "risk", Names("pms"))


async def test_a_cluster_that_is_away_is_waited_for(until):
    states = []
    bus = await Bus.connect(
        "redis+cluster://127.0.0.1:1,127.0.0.1:2", "risk", Names(FIRST + "pms"), lambda *told: states.append(told)
    )
    await until(lambda: any(not ok and "no node of the cluster" in why for _, ok, why in states))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(bus.run())), 0.1)
    for task in bus._writing:
        task.cancel()
