"""Redis dies, forgets and falls back: R-27 (group lost) and R-29 (delivered again), on a server of the test's own."""

import asyncio
import time

import pytest

from pms_common.bus.ids import id_key

pytestmark = pytest.mark.chaos


class Store:
    """A cursor store that outlives Redis."""

    def __init__(self):
        self.kept = {}

    async def load(self, group):
        return {stream: cursor for (g, stream), cursor in self.kept.items() if g == group}

    async def save(self, group, cursors):
        self.kept.update({(group, stream): cursor for stream, cursor in cursors.items()})


class Effects:
    """What an idempotent handler did: effects once per entry id, and how often it was called."""

    def __init__(self, bus, hold=()):
        self.bus = bus
        self.calls = []
        self.effects = {}
        self.hold = set(hold)
        self.held = []

    def __call__(self, entry):
        self.calls.append(entry)
        self.effects.setdefault(entry.id, entry.data)
        if entry.data in self.hold:
            self.held.append(entry)
        else:
            self.bus.outbox.ack(entry)

    @property
    def data(self):
        return [int(data) for data in self.effects.values()]


async def write(client, stream, numbers):
    return [(await client.xadd(stream, {"data": str(i)})).decode() for i in numbers]


async def test_r27_destroyed_group_goes_on_at_the_lowest_unacknowledged(make_bus, start, server, names, until):
    """Entries in process are not handled twice, acknowledged ones neither, waiting ones are not lost."""
    bus = await make_bus(url=server.url)
    stream = names.requests("risk")
    effects = Effects(bus, hold=[b"3", b"7"])
    consumer = bus.consumer("risk", {stream: effects})
    start(consumer)
    async with server.client() as client:
        await write(client, stream, range(10))
        await until(lambda: consumer.unacked == 2)
        await client.xgroup_destroy(stream, "risk")
        await write(client, stream, range(10, 20))
        await until(lambda: len(effects.effects) == 20)
        for entry in effects.held:
            bus.outbox.ack(entry)
        await until(lambda: consumer.unacked == 0)
        await bus.outbox.flush()
        assert [int(entry.data) for entry in effects.calls] == list(range(20))
        assert (await client.xpending(stream, "risk"))["pending"] == 0


async def test_r27_no_hot_loop(make_bus, start, server, names, until):
    """A group that keeps vanishing costs a few reads a second, not thousands."""
    bus = await make_bus(url=server.url)
    stream = names.requests("risk")
    start(bus.consumer("risk", {stream: Effects(bus)}))
    async with server.client() as client:
        await until(lambda: bus.incarnation.identity)
        await asyncio.sleep(0.1)
        await client.config_resetstat()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            await client.xgroup_destroy(stream, "risk")
            await asyncio.sleep(0.001)
        calls = (await client.info("commandstats")).get("cmdstat_xreadgroup", {"calls": 0})["calls"]
        assert calls < 60


async def test_r27_group_lost_while_the_service_was_down(make_bus, start, server, names, until):
    """A successor knows the cursor from the store: only what was not acknowledged is delivered, marked."""
    store, stream = Store(), names.requests("risk")
    bus = await make_bus(url=server.url)
    effects = Effects(bus, hold=[b"6"])
    consumer = bus.consumer("risk", {stream: effects}, cursors=store)
    task = start(consumer)
    async with server.client() as client:
        ids = await write(client, stream, range(8))
        await until(lambda: len(effects.calls) == 8 and consumer.unacked == 1)
        await consumer.stop()
        await task
        assert store.kept == {("risk", stream): ids[5]}
        await bus.close()
        await client.xgroup_destroy(stream, "risk")
        await write(client, stream, range(8, 10))
        bus = await make_bus(url=server.url)
        again = Effects(bus)
        consumer = bus.consumer("risk", {stream: again}, cursors=store)
        start(consumer)
        await until(lambda: len(again.calls) == 4 and consumer.unacked == 0)
        assert again.data == [6, 7, 8, 9]
        assert all(entry.redelivered and entry.suspect for entry in again.calls)


@pytest.mark.parametrize("ahead_ms", [0, 3_600_000])
async def test_r27_flushall(make_bus, start, server, names, until, ahead_ms):
    """After FLUSHALL new entries are handled, though their ids would begin below the cursor (a clock set back)."""
    store, stream = Store(), names.requests("risk")
    bus = await make_bus(url=server.url)
    effects = Effects(bus)
    consumer = bus.consumer("risk", {stream: effects}, cursors=store)
    start(consumer)
    async with server.client() as client:
        ahead = f"{int(time.time() * 1000) + ahead_ms}-0"
        await client.xadd(stream, {"data": "0"}, id=ahead)
        await until(lambda: len(effects.calls) == 1 and consumer.unacked == 0)
        await client.flushall()
        await until(lambda: bus.incarnation.identity)
        await asyncio.sleep(2.5)  # longer than a blocking read: the group is back
        new = await write(client, stream, range(1, 50))
        assert all(id_key(entry_id) > id_key(ahead) for entry_id in new)
        await until(lambda: len(effects.effects) == 50)
        await until(lambda: consumer.unacked == 0)
        assert effects.data == list(range(50))


async def test_r27_entries_written_below_the_cursor_before_we_are_back(make_bus, start, server, names, until):
    """Redis lost everything and JS wrote before us, with lower ids: the group starts at 0 and nothing is lost."""
    stream = names.cmd("trade")
    store = Store()
    store.kept = {("risk", stream): f"{int(time.time() * 1000) + 3_600_000}-0"}
    bus = await make_bus(url=server.url)
    effects = Effects(bus)
    async with server.client() as client:
        await write(client, stream, range(5))
        consumer = bus.consumer("risk", {stream: effects}, cursors=store)
        start(consumer)
        await until(lambda: len(effects.calls) == 5)
        await write(client, stream, range(5, 8))
        await until(lambda: len(effects.effects) == 8)
        await until(lambda: consumer.unacked == 0)
    assert effects.data == list(range(8))


@pytest.mark.parametrize("lose", [False, True])
async def test_r29_server_killed_and_restarted_under_load(make_bus, start, server, names, until, lose):
    """kill -9 of Redis with AOF, or with its data lost: unanswered writes are settled, effects stay single.

    Entries that the restart delivers again are marked suspect, since they are of an earlier incarnation.
    """
    bus = await make_bus(url=server.url)
    source, target = names.requests("risk"), names.updates("risk")
    effects, written = Effects(bus), 0
    consumer = bus.consumer("risk", {source: effects}, cursors=Store())
    start(consumer)
    writer = await make_bus(role="algos", url=server.url)
    before = 0

    async def produce():
        nonlocal written
        while written < 3000:
            for _ in range(10):
                writer.outbox.add(source, b"%d" % written)
                bus.outbox.add(target, b"%d" % written)
                written += 1
            await asyncio.sleep(0.003)

    producing = asyncio.create_task(produce())
    await until(lambda: len(effects.effects) > 500)
    before = bus.incarnation.suspect_before_ms
    await asyncio.to_thread(server.kill)
    if lose:
        server.lose_data()
    await asyncio.sleep(0.2)
    await asyncio.to_thread(server.start)
    await producing
    await writer.outbox.flush()
    await bus.outbox.flush()
    if not lose:
        await until(lambda: len(set(effects.data)) == 3000)
    else:
        await until(lambda: 2999 in effects.data)
    await until(lambda: consumer.unacked == 0)
    assert bus.incarnation.suspect_before_ms > before
    async with server.client() as client:
        kept = [int(fields[b"data"]) for _, fields in await client.xrange(target)]
    assert kept == sorted(set(kept))  # in order, none twice
    if not lose:
        assert kept == list(range(3000))
        assert effects.data == list(range(3000))
    repeated = [entry for entry in effects.calls if entry.redelivered]
    assert all(entry.suspect for entry in repeated)


async def test_r29_group_that_fell_back_delivers_again_as_suspect(make_bus, start, server, names, until):
    """After a reload the group's last delivered id may be older: entries come again, marked, and only then."""
    stream = names.requests("risk")
    bus = await make_bus(url=server.url)
    consumer = bus.consumer("risk", {stream: Effects(bus)})
    task = start(consumer)
    async with server.client() as client:
        await write(client, stream, range(10))
        await until(lambda: consumer.trackers[stream].cursor != "0-0" and consumer.unacked == 0)
        await consumer.stop()
        await task
        await client.execute_command("XGROUP", "SETID", stream, "risk", "0")  # what an old AOF would say
        successor = await make_bus(url=server.url)
        again = Effects(successor)
        start(successor.consumer("risk", {stream: again}))
        await until(lambda: len(again.calls) == 10)
        assert all(entry.suspect for entry in again.calls)
        await write(client, stream, [10])
        await until(lambda: len(again.calls) == 11)
        assert not again.calls[-1].suspect


async def test_lost_line_of_the_reader_repeats_nothing(make_bus, start, server, proxy, names, until):
    """The proxy cuts replies to XREADGROUP in the middle: what was delivered into the void comes again, once."""
    bus = await make_bus(url=proxy.url)
    stream = names.requests("risk")
    effects = Effects(bus)
    consumer = bus.consumer("risk", {stream: effects})
    start(consumer)
    async with server.client() as client:
        await write(client, stream, [0])
        await until(lambda: consumer.unacked == 0 and effects.calls)

        def cut_reply(way, chunk):
            return len(chunk) // 2 if way == "down" and stream.encode() in chunk else None

        for batch in range(1, 6):
            proxy.cut_when = cut_reply
            await write(client, stream, range(batch * 20, batch * 20 + 20))
            await until(lambda count=proxy.cuts: proxy.cuts > count)
            proxy.cut_when = lambda _way, _chunk: None
            await until(lambda batch=batch: len(effects.effects) == 1 + batch * 20)
        await until(lambda: consumer.unacked == 0)
    assert len(effects.calls) == 101
    assert effects.data == [0, *range(20, 120)]


async def test_deleted_pending_entry_is_told_and_not_stuck(make_bus, start, server, names, until):
    stream = names.requests("risk")
    async with server.client() as client:
        await client.xgroup_create(stream, "risk", id="0", mkstream=True)
        ids = await write(client, stream, range(3))
        await client.xreadgroup("risk", "risk", {stream: ">"})
        await client.xdel(stream, ids[1])
        bus = await make_bus(url=server.url)
        effects = Effects(bus)
        consumer = bus.consumer("risk", {stream: effects})
        start(consumer)
        await until(lambda: len(effects.calls) == 2)
        await until(lambda: consumer.unacked == 0)
        await bus.outbox.flush()
        ((_, dead),) = await client.xrange(names.dead)
        assert dead[b"id"].decode() == ids[1]
        assert b"deleted" in dead[b"reason"]
        assert (await client.xpending(stream, "risk"))["pending"] == 0


async def test_a_cursor_store_that_is_away_does_not_stop_reading(make_bus, start, js, names, until, monkeypatch):
    monkeypatch.setattr("pms_common.bus.consumer.SAVE_CURSORS_S", 0.02)

    class Away(Store):
        async def save(self, group, cursors):
            raise ConnectionRefusedError("no database")

    bus, stream = await make_bus(), names.requests("risk")
    effects = Effects(bus)
    consumer = bus.consumer("risk", {stream: effects}, cursors=Away())
    task = start(consumer)
    for number in range(5):
        await write(js, stream, [number])
        await asyncio.sleep(0.03)
    await until(lambda: len(effects.calls) == 5 and consumer.unacked == 0)
    assert not task.done()


async def test_a_cursor_store_that_is_away_at_the_start_is_waited_for(make_bus, start, js, names, until, monkeypatch):
    monkeypatch.setattr("pms_common.bus.consumer.LOAD_AGAIN_S", 0.02)

    class Coming(Store):
        tries = 0

        async def load(self, group):
            self.tries += 1
            if self.tries < 3:
                raise ConnectionResetError("the database was restarted")
            return await super().load(group)

    bus, stream, store = await make_bus(), names.requests("risk"), Coming()
    effects = Effects(bus)
    task = start(bus.consumer("risk", {stream: effects}, cursors=store))
    await write(js, stream, [1])
    await until(lambda: len(effects.calls) == 1)
    assert store.tries == 3 and not task.done()


async def test_an_entry_whose_handler_meets_bytes_that_are_no_text_is_dead_not_deadly(
    make_bus, start, js, names, until
):
    bus, stream = await make_bus(), names.requests("risk")
    handled = []

    def handle(entry):
        handled.append(entry.id)
        entry.data.decode()

    consumer = bus.consumer("risk", {stream: handle})
    task = start(consumer)
    await js.xadd(stream, {"data": b"\xff\xfe"})
    await until(lambda: handled and consumer.unacked == 0)
    await bus.outbox.flush()
    assert await js.xlen(names.dead) == 1
    assert not task.done()
