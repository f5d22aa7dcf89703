"""Newest-only ticks: conflation at the writer, skipping at the reader, garbage."""

import asyncio
import time

from pms_common.bus.reader import PAUSE_S
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick


def tick(symbol, bid):
    return Tick(symbol, bid, 1.0, bid + 1, 1.0, 0, 0, 0, 0, 0)


class Newest:
    """A writer and what it takes: the newest tick of each symbol."""

    def __init__(self, bus, stream):
        self._ticks = {}
        self.writer = bus.ticks_writer(stream, self._take)

    def _take(self):
        taken, self._ticks = list(self._ticks.values()), {}
        return taken

    def put(self, tick):
        self._ticks[tick.symbol] = tick
        self.writer.wake()


async def run(*parts):
    return [asyncio.create_task(part.run()) for part in parts]


async def end(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_newest_per_symbol_wins_while_a_write_is_in_flight(make_bus, js, names, until):
    bus = await make_bus("feed")
    got = []
    newest = Newest(bus, names.ticks)
    writer = newest.writer
    reader = bus.ticks_reader(names.ticks, "algos", got.extend)
    tasks = await run(writer, reader)
    await until(lambda: writer.connected and reader.reading)
    for i in range(1, 5001):
        newest.put(tick("BTCUSDT", float(i)))
        newest.put(tick("ETHUSDT", float(-i)))
        if i % 10 == 0:
            await asyncio.sleep(0)
    await until(lambda: {t.symbol: t.bid for t in got} == {"BTCUSDT": 5000.0, "ETHUSDT": -5000.0})
    btc = [t.bid for t in got if t.symbol == "BTCUSDT"]
    assert btc == sorted(set(btc))
    assert len(btc) < 5000
    assert await js.xlen(names.ticks) < 5000
    await end(tasks)


async def test_what_was_missed_is_handed_out_whenever_it_begins_and_then_what_follows_with_no_tick_between_or_twice(
    make_bus, js, names, until
):
    bus = await make_bus("feed")
    for bid in range(2_500):
        bus.outbox.add(names.ticks, encode([tick("BTCUSDT", float(bid))]))
    await bus.outbox.flush()
    await js.xadd(names.ticks, {"data": "no ticks"})
    calls = []
    reader = bus.ticks_reader(
        names.ticks,
        "algos",
        lambda got: calls.append(("new", got)),
        missed=lambda: lambda got: calls.append(("missed", got)),
    )
    tasks = await run(reader)
    sent = 2_500
    async with asyncio.timeout(30):
        while len(calls) < 3 or calls[-1][1][-1:] != [tick("BTCUSDT", float(sent - 1))]:
            if len(calls) < 3:
                bus.outbox.add(names.ticks, encode([tick("BTCUSDT", float(sent))]))
                sent += 1
            await asyncio.sleep(0)
    assert [name for name, _ in calls].index("new") == 1
    assert len(calls[0][1]) >= 2_500
    assert [found.bid for _, got in calls for found in got] == list(range(sent))
    calls.clear()
    await js.client_kill_filter(_type="normal")
    await until(lambda: bool(calls))
    assert calls[0] == ("missed", [tick("BTCUSDT", float(bid)) for bid in range(sent)])
    await end(tasks)


async def test_every_group_gets_the_ticks_and_nothing_stays_pending(make_bus, js, names, until):
    bus = await make_bus("feed")
    got = {"risk": [], "algos": []}
    newest = Newest(bus, names.ticks)
    writer = newest.writer
    readers = [bus.ticks_reader(names.ticks, group, seen.extend) for group, seen in got.items()]
    tasks = await run(writer, *readers)
    await until(lambda: writer.connected and all(reader.reading for reader in readers))
    newest.put(tick("BTCUSDT", 1.0))
    await until(lambda: all(got.values()))
    assert got["risk"] == got["algos"] == [tick("BTCUSDT", 1.0)]
    for group in got:
        assert (await js.xpending(names.ticks, group))["pending"] == 0
    await end(tasks)


async def test_a_key_goes_with_the_next_write_and_its_last_value_counts(make_bus, js, names, until):
    bus = await make_bus("feed")
    newest = Newest(bus, names.ticks)
    tasks = await run(newest.writer)
    newest.writer.set(names.price("BTCUSDT"), b"1", 30)
    newest.writer.set(names.price("BTCUSDT"), b"2", 30)
    newest.put(tick("BTCUSDT", 1.0))
    await until(lambda: newest.writer.idle and newest.writer.connected)
    assert await js.get(names.price("BTCUSDT")) == b"2"
    assert 0 < await js.ttl(names.price("BTCUSDT")) <= 30
    assert await js.xlen(names.ticks) == 1
    await end(tasks)


async def test_slow_reader_skips_to_the_newest(make_bus, js, names, until):
    """20 s of backlog in the stream, and a handler that takes 1 ms an entry: it is not worked off, only missed."""
    bus = await make_bus("algos")
    got, missed = [], []

    def slow(ticks):
        time.sleep(0.001)
        got.extend(ticks)

    reader = bus.ticks_reader(names.ticks, "algos", slow, missed=lambda: missed.extend)
    tasks = await run(reader)
    await until(lambda: reader.reading)
    now = int(time.time() * 1000)
    pipe = js.pipeline(transaction=True)
    for i in range(4000):
        pipe.xadd(names.ticks, {"data": f'[["BTCUSDT",{i}.0,1,1,1,0,0,0,0,0]]'}, id=f"{now + i * 5}-0")
    began = time.monotonic()
    await pipe.execute()
    await until(lambda: got and got[-1].bid == 3999.0)
    assert reader.skips >= 1
    assert time.monotonic() - began < 2.0
    assert len(got) < 1000
    assert [found.bid for found in sorted([*got, *missed], key=lambda found: found.bid)] == list(range(4000))
    await end(tasks)


async def test_reader_starts_at_the_newest(make_bus, js, names, until):
    now = int(time.time() * 1000)
    pipe = js.pipeline()
    for i in range(500):
        pipe.xadd(names.ticks, {"data": f'[["BTCUSDT",{i}.0,1,1,1,0,0,0,0,0]]'}, id=f"{now - 5000 + i * 10}-0")
    await pipe.execute()
    bus = await make_bus("algos")
    got = []
    tasks = await run(bus.ticks_reader(names.ticks, "algos", got.extend))
    await until(lambda: bool(got))
    await asyncio.sleep(0.05)
    assert got[-1].bid == 499.0
    assert len(got) <= 4
    await end(tasks)


async def test_garbage_tick_goes_to_dead(make_bus, js, names, until):
    bus = await make_bus("algos")
    got = []
    reader = bus.ticks_reader(names.ticks, "algos", got.extend)
    tasks = await run(reader)
    await until(lambda: reader.reading)
    await js.xadd(names.ticks, {"data": "{not json"})
    await js.xadd(names.ticks, {"flat": "x"})
    await js.xadd(names.ticks, {"data": '[["BTCUSDT",1.0,1,1,1,0,0,0,0,0]]'})
    await until(lambda: bool(got))
    await bus.outbox.flush()
    assert [fields[b"payload"] for _, fields in await js.xrange(names.dead)] == [b"{not json", b""]
    await end(tasks)


async def test_writer_and_reader_survive_the_server(make_bus, server, names, until):
    bus = await make_bus("feed", url=server.url)
    got = []
    newest, reader = Newest(bus, names.ticks), bus.ticks_reader(names.ticks, "algos", got.extend)
    writer = newest.writer
    tasks = await run(writer, reader)
    await until(lambda: writer.connected and reader.reading)
    newest.put(tick("BTCUSDT", 1.0))
    await until(lambda: bool(got))
    await asyncio.to_thread(server.kill)
    newest.put(tick("BTCUSDT", 2.0))
    newest.put(tick("BTCUSDT", 3.0))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(server.start)
    async with server.client() as client:
        await client.flushall()
    await until(lambda: writer.connected and reader.reading)
    newest.put(tick("BTCUSDT", 4.0))
    await until(lambda: got[-1].bid == 4.0)
    await end(tasks)


async def test_ticks_that_nobody_waits_for_gather_before_they_are_read(make_bus, js, names, until):
    bus, got = await make_bus("algos"), []
    reader = bus.ticks_reader(names.ticks, "algos", got.extend, calm=lambda: True)
    tasks = await run(reader)
    await until(lambda: reader.reading)
    begin, reads = time.monotonic(), (await js.info("commandstats"))["cmdstat_xreadgroup"]["calls"]
    for i in range(200):
        await js.xadd(names.ticks, {"data": encode([tick("BTCUSDT", float(i))])})
    await until(lambda: len(got) == 200)
    reads = (await js.info("commandstats"))["cmdstat_xreadgroup"]["calls"] - reads
    assert reads <= (time.monotonic() - begin) / PAUSE_S + 3
    await end(tasks)
