"""The outbox against a real server: order, atomicity, lost connections, refusals, its bound."""

import asyncio

import pytest
from tests.integration.pms_common.bus.streams import data_of

from pms_common.bus import OutboxError


async def test_everything_arrives_in_order(make_bus, js, names):
    bus = await make_bus()
    stream = names.updates("risk")
    for i in range(3000):
        bus.outbox.add(stream, b"%d" % i)
        if i % 7 == 0:
            await asyncio.sleep(0)
    await bus.outbox.flush()
    assert await data_of(js, stream) == [b"%d" % i for i in range(3000)]
    assert bus.outbox.pending == 0


async def test_what_is_added_without_await_is_one_multi(make_bus, js, names):
    """A reader sees all of a stretch or nothing of it."""
    bus = await make_bus()
    one, other = names.updates("risk"), names.requests("orders")
    seen = []

    async def watch():
        while True:
            pipe = js.pipeline(transaction=True)
            pipe.xlen(one)
            pipe.xlen(other)
            seen.append(tuple(await pipe.execute()))

    watching = asyncio.create_task(watch())
    for i in range(300):
        for _ in range(20):
            bus.outbox.add(one, b"x")
        for _ in range(20):
            bus.outbox.add(other, b"x")
        await asyncio.sleep(0.001 if i % 10 == 0 else 0)
    await bus.outbox.flush()
    watching.cancel()
    assert len(set(seen)) > 10
    assert all(a == b and a % 20 == 0 for a, b in seen)


async def test_results_and_channels(make_bus, js, names):
    bus = await make_bus()
    key = names.result("r1")
    async with js.pubsub() as pubsub:
        await pubsub.subscribe(key)
        assert (await pubsub.get_message(timeout=2))["type"] == "subscribe"
        bus.outbox.set(key, b"{}", 30)
        bus.outbox.publish(key, b"{}")
        await bus.outbox.flush()
        assert (await pubsub.get_message(timeout=2))["data"] == b"{}"
    assert await js.get(key) == b"{}"
    assert 0 < await js.ttl(key) <= 30


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("direction", "share"),
    [*(("up", share) for share in (0.0, 0.3, 0.6, 0.95, 1.0)), *(("down", share) for share in (0.0, 0.3, 0.6, 0.95))],
)
async def test_connection_lost_in_the_middle_of_a_multi(make_bus, server, proxy, names, direction, share):
    """Cut while the MULTI travels, or while its replies do: executed once, whichever it was."""
    bus = await make_bus(url=proxy.url)
    stream = names.updates("risk")
    bus.outbox.add(stream, b"before")
    await bus.outbox.flush()

    def cut_in_batch(way, chunk):
        starts = b"MULTI" in chunk if way == "up" else chunk.startswith(b"+OK\r\n+QUEUED")
        if way != direction or not starts:
            return None
        proxy.cut_when = lambda _way, _chunk: None
        return int(len(chunk) * share)

    proxy.cut_when = cut_in_batch
    for i in range(50):
        bus.outbox.add(stream, b"%d" % i)
    await bus.outbox.flush()
    assert proxy.cuts == 1
    async with server.client() as client:
        assert await data_of(client, stream) == [b"before", *(b"%d" % i for i in range(50))]


@pytest.mark.chaos
async def test_many_cuts_under_load_lose_and_repeat_nothing(make_bus, server, proxy, names):
    bus = await make_bus(url=proxy.url)
    stream = names.updates("risk")

    async def cut_often():
        while True:
            await asyncio.sleep(0.03)
            proxy.cut()

    cutting = asyncio.create_task(cut_often())
    for i in range(4000):
        bus.outbox.add(stream, b"%d" % i)
        if i % 5 == 0:
            await asyncio.sleep(0.002 if i % 25 == 0 else 0)
    cutting.cancel()
    await bus.outbox.flush()
    assert proxy.cuts >= 5
    async with server.client() as client:
        assert await data_of(client, stream) == [b"%d" % i for i in range(4000)]


async def test_out_of_memory_waits_and_goes_on(make_bus, server, names, until):
    """OOM passes: nothing is dropped, nothing is half-written, and the service is told that it is not ready."""
    states = []
    bus = await make_bus(url=server.url, ready=lambda part, ok, why: states.append((part, ok, why)))
    await bus.outbox.flush()
    async with server.client() as client:
        await client.config_set("maxmemory", 1)
        bus.outbox.add(names.updates("risk"), b"1")
        bus.outbox.add(names.updates("risk"), b"2")
        await until(lambda: any(not ok and "OOM" in why for _, ok, why in states))
        assert await client.xlen(names.updates("risk")) == 0
        await client.config_set("maxmemory", 0)
        await bus.outbox.flush()
        assert await data_of(client, names.updates("risk")) == [b"1", b"2"]


async def test_read_only_replica_is_not_a_refusal_for_good(make_bus, server, names, until):
    states = []
    bus = await make_bus(url=server.url, ready=lambda part, ok, why: states.append((part, ok, why)))
    await bus.outbox.flush()
    async with server.client() as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        bus.outbox.add(names.updates("risk"), b"1")
        bus.outbox.set(names.result("r"), b"1")
        await until(lambda: any(not ok and "READONLY" in why for _, ok, why in states))
        await client.execute_command("REPLICAOF", "NO", "ONE")
        await bus.outbox.flush()
        assert await client.xlen(names.updates("risk")) == 1


async def test_wrong_type_stops_loudly(make_bus, js, names):
    bus = await make_bus()
    await js.set(names.updates("risk"), "not a stream")
    bus.outbox.add(names.updates("risk"), b"1")
    bus.outbox.add(names.requests("orders"), b"1")
    with pytest.raises(OutboxError, match="WRONGTYPE"):
        await bus.outbox.flush()
    with pytest.raises(OutboxError, match="WRONGTYPE"):
        await bus.run()
    with pytest.raises(OutboxError):
        await bus.outbox.flush()


async def test_forbidden_key_stops_loudly_and_executes_nothing(make_bus, server, names):
    async with server.client() as client:
        await client.acl_setuser(
            "risk", enabled=True, passwords=["+pw"], keys=[f"{names.namespace}:*"], categories=["+@all"]
        )
        url = f"redis://risk:pw@127.0.0.1:{server.port}"
        bus = await make_bus(url=url)
        bus.outbox.add(names.updates("risk"), b"1")
        bus.outbox.add("somebody:else", b"1")
        with pytest.raises(OutboxError, match="NOPERM"):
            await bus.outbox.flush()
        assert await client.xlen(names.updates("risk")) == 0


async def test_full_while_redis_is_away_then_room(make_bus, server, proxy, names):
    bus = await make_bus(url=proxy.url)
    await bus.outbox.flush()
    proxy.refusing = True
    proxy.cut()
    stream, added = names.updates("risk"), 0
    while not bus.outbox.full:
        for _ in range(100):
            bus.outbox.add(stream, b"%d" % added)
            added += 1
        await asyncio.sleep(0)
    waiting = asyncio.create_task(bus.outbox.room())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    proxy.refusing = False
    await asyncio.wait_for(waiting, 10)
    assert not bus.outbox.full
    await bus.outbox.flush()
    async with server.client() as client:
        assert await client.xlen(stream) == added


async def test_redis_may_start_later(make_bus, server, names):
    server.kill()
    bus = await make_bus(url=server.url)
    bus.outbox.add(names.updates("risk"), b"1")
    await asyncio.sleep(0.2)
    await asyncio.to_thread(server.start)
    await bus.outbox.flush()
    async with server.client() as client:
        assert await client.xlen(names.updates("risk")) == 1
