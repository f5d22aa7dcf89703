"""Consumers on a real server: order, acknowledgement, poison, bounds, a clean stop."""

import asyncio
import math
import sys

import pytest

from pms_common import metrics
from pms_common.bus import GapDetector, Malformed, UpdatesWriter, peek, reader
from pms_common.contracts.bus.common import SnapshotEnd


async def data_of(client, stream):
    return [fields[b"data"] for _, fields in await client.xrange(stream)]


async def test_new_entries_are_handled_in_order_and_acknowledged(make_bus, start, js, names, until):
    bus = await make_bus()
    stream, seen = names.requests("risk"), []

    def handle(entry):
        seen.append(entry)
        bus.outbox.ack(entry)

    consumer = bus.consumer("risk", {stream: handle})
    start(consumer)
    await until(lambda: bus.incarnation.identity)
    await asyncio.sleep(0.05)
    for i in range(500):
        await js.xadd(stream, {"data": str(i)})
    await until(lambda: len(seen) == 500 and consumer.unacked == 0)
    assert [entry.data for entry in seen] == [b"%d" % i for i in range(500)]
    assert seen[0].stream == stream
    assert seen[0].ms == int(seen[0].id.split("-")[0])
    assert not any(entry.redelivered or entry.suspect or entry.fields for entry in seen)
    assert (await js.xpending(stream, "risk"))["pending"] == 0


async def test_flat_fields_and_odd_bytes(make_bus, start, js, names, until):
    """A person with redis-cli writes flat fields; bytes that are no text are shown, not fatal."""
    bus = await make_bus()
    stream, seen = names.cmd("trade"), []
    consumer = bus.consumer("risk", {stream: lambda entry: (seen.append(entry), bus.outbox.ack(entry))})
    start(consumer)
    await js.xadd(stream, {"requestId": "r1", "symbol": "BTCUSDT"})
    await js.xadd(stream, {b"symbol": b"\xff\xfe"})
    await js.xadd(stream, {"data": "{}", "trace": "t"})
    await until(lambda: len(seen) == 3)
    assert [(entry.data, entry.fields) for entry in seen] == [
        (b"", {"requestId": "r1", "symbol": "BTCUSDT"}),
        (b"", {"symbol": "��"}),
        (b"{}", {"trace": "t"}),
    ]


async def test_own_pending_first_in_id_order_then_new(make_bus, start, js, names, until):
    """What a predecessor left comes first, over all streams by id, marked; new entries follow unmarked."""
    streams = [names.cmd("trade"), names.cmd("close")]
    for stream in streams:
        await js.xgroup_create(stream, "risk", id="0", mkstream=True)
    for i in range(40):
        await js.xadd(streams[i % 2], {"data": str(i)})
        await asyncio.sleep(0.002)  # ids of their own
    await js.xreadgroup("risk", "risk", dict.fromkeys(streams, ">"), count=15)
    bus = await make_bus()
    seen = []
    consumer = bus.consumer("risk", dict.fromkeys(streams, lambda e: (seen.append(e), bus.outbox.ack(e))))
    start(consumer)
    await until(lambda: len(seen) == 40)
    again, new = seen[:30], seen[30:]
    assert [int(entry.data) for entry in again] == list(range(30))
    assert all(entry.redelivered and entry.suspect for entry in again)
    assert sorted(int(entry.data) for entry in new) == list(range(30, 40))
    assert all(entry.suspect for entry in new)  # older than this writer
    await until(lambda: consumer.unacked == 0)


async def test_malformed_goes_to_dead_with_reason_and_nothing_stops(make_bus, start, js, names, until):
    bus = await make_bus()
    stream, answered = names.cmd("trade"), []

    def handle(entry):
        bus.outbox.add(names.updates("risk"), b"effect")
        if entry.data == b"bad":
            raise Malformed("field `symbol` is missing")
        bus.outbox.ack(entry)

    consumer = bus.consumer("risk", {stream: handle}, dead=lambda entry, reason: answered.append((entry.id, reason)))
    start(consumer)
    ids = [(await js.xadd(stream, {"data": data})).decode() for data in ("good", "bad", "good")]
    await until(lambda: consumer.unacked == 0 and consumer.trackers[stream].cursor == ids[2])
    ((_, dead),) = await js.xrange(names.dead)
    assert dead == {
        b"reason": b"field `symbol` is missing",
        b"stream": stream.encode(),
        b"id": ids[1].encode(),
        b"tries": b"1",
        b"payload": b"bad",
    }
    assert answered == [(ids[1], "field `symbol` is missing")]
    assert await js.xlen(names.updates("risk")) == 2  # what the failing handler had said was taken back
    assert (await js.xpending(stream, "risk"))["pending"] == 0


async def test_public_poison_is_tried_three_times_then_answered(make_bus, start, js, names, until):
    bus = await make_bus()
    stream, tries, seen = names.cmd("trade"), [], []

    def handle(entry):
        if entry.data == b"poison":
            bus.outbox.add(names.updates("risk"), b"half")
            tries.append(entry.id)
            raise KeyError("x")
        seen.append(entry.data)
        bus.outbox.ack(entry)

    def answer(entry, reason):
        bus.outbox.set(names.result("r1"), reason.encode())

    consumer = bus.consumer("risk", {stream: handle}, public={stream}, dead=answer)
    start(consumer)
    for data in ("1", "poison", "2"):
        await js.xadd(stream, {"data": data})
    await until(lambda: len(seen) == 2)
    await until(lambda: consumer.unacked == 0)
    assert len(tries) == 3
    assert await js.get(names.result("r1")) == b"KeyError: 'x'"
    ((_, dead),) = await js.xrange(names.dead)
    assert dead[b"tries"] == b"3"
    assert await js.xlen(names.updates("risk")) == 0


async def test_public_handler_may_succeed_at_the_second_try(make_bus, start, js, names, until):
    bus = await make_bus()
    stream, tries = names.cmd("trade"), []

    def handle(entry):
        tries.append(entry.id)
        if len(tries) == 1:
            raise KeyError("not yet")
        bus.outbox.ack(entry)

    consumer = bus.consumer("risk", {stream: handle}, public={stream})
    start(consumer)
    await js.xadd(stream, {"data": "1"})
    await until(lambda: len(tries) == 2 and consumer.unacked == 0)
    assert await js.xlen(names.dead) == 0


@pytest.mark.parametrize("delivered_before", [False, True])
async def test_internal_error_stops_the_service_and_keeps_the_entry(make_bus, start, js, names, delivered_before):
    """A fill is never skipped: what came before it is done, it and what follows stays pending."""
    bus = await make_bus()
    stream = names.updates("orders")
    await js.xgroup_create(stream, "risk", id="0", mkstream=True)
    for i in range(10):
        await js.xadd(stream, {"data": str(i)})
    if delivered_before:
        await js.xreadgroup("risk", "risk", {stream: ">"})

    def handle(entry):
        bus.outbox.add(names.updates("risk"), entry.data)
        if entry.data == b"4":
            raise ValueError("cannot book")
        bus.outbox.ack(entry)

    with pytest.raises(ValueError, match="cannot book"):
        await asyncio.wait_for(start(bus.consumer("risk", {stream: handle})), 5)
    await bus.outbox.flush()
    assert await data_of(js, names.updates("risk")) == [b"0", b"1", b"2", b"3"]
    assert await js.xlen(names.dead) == 0
    assert (await js.xpending(stream, "risk"))["pending"] == 6


async def test_max_unacked_stops_reading_until_acknowledged(make_bus, start, js, names, until):
    bus = await make_bus()
    stream, held = names.requests("orders"), []
    consumer = bus.consumer("orders", {stream: held.append}, max_unacked=250)
    start(consumer)
    pipe = js.pipeline(transaction=False)
    for i in range(2000):
        pipe.xadd(stream, {"data": str(i)})
    await pipe.execute()
    await until(lambda: len(held) >= 250)
    await asyncio.sleep(0.1)
    assert len(held) <= 250 + 100
    done = 0
    while done < 2000:
        await until(lambda: len(held) > done)  # noqa: B023
        for entry in held[done:]:
            bus.outbox.ack(entry)
        done = len(held)
        assert consumer.unacked <= 350  # a batch beyond, at most
    await until(lambda: consumer.unacked == 0)
    assert [int(entry.data) for entry in held] == list(range(2000))


async def test_more_than_twenty_streams(make_bus, start, js, names, until):
    bus = await make_bus("algos")
    streams = [names.cmd(f"c{i}") for i in range(45)]
    seen = []
    consumer = bus.consumer("algos", dict.fromkeys(streams, lambda e: (seen.append(e.stream), bus.outbox.ack(e))))
    start(consumer)
    for stream in streams:
        await js.xadd(stream, {"data": "x"})
    await until(lambda: len(seen) == 45 and consumer.unacked == 0)
    assert set(seen) == set(streams)
    blocked = [
        c for c in await js.client_list() if c["name"] == f"{names.namespace}-algos" and c["cmd"] == "xreadgroup"
    ]
    assert len(blocked) == 3


async def test_stop_under_load_loses_and_repeats_nothing(make_bus, start, js, names, until):
    """Stop, close and start again and again while entries pour in: each has its effect exactly once, none suspect."""
    source, target, total = names.requests("risk"), names.updates("risk"), 6000
    redelivered = 0

    async def produce():
        for i in range(0, total, 50):
            pipe = js.pipeline(transaction=False)
            for k in range(i, i + 50):
                pipe.xadd(source, {"data": str(k)})
            await pipe.execute()
            await asyncio.sleep(0.005)

    producing = asyncio.create_task(produce())
    handled, rounds = 0, 0
    while handled < total:
        bus = await make_bus()

        def handle(entry, bus=bus):
            nonlocal handled, redelivered
            handled += 1
            redelivered += entry.redelivered
            bus.outbox.add(target, entry.data)
            bus.outbox.ack(entry)

        consumer = bus.consumer("risk", {source: handle})
        task = start(consumer)
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        await consumer.stop()
        await task
        assert asyncio.get_running_loop().time() - began < 1.0
        assert consumer.unacked == 0
        await bus.close()
        rounds += 1
    await producing
    assert rounds >= 3
    assert await data_of(js, target) == [b"%d" % i for i in range(total)]
    assert (await js.xpending(source, "risk"))["pending"] == 0


CHILD = """
import asyncio, sys, uvloop
from pms_common.bus import Bus
from pms_common.names import Names

async def main(url, namespace):
    names = Names(namespace)
    bus = await Bus.connect(url, "risk", names)
    def handle(entry):
        bus.outbox.add(names.updates("risk"), entry.data)
        bus.outbox.ack(entry)
    await bus.consumer("risk", {names.requests("risk"): handle}).run()

uvloop.run(main(*sys.argv[1:]))
"""


@pytest.mark.chaos
async def test_kill_9_of_the_consumer_repeats_no_output(redis_url, js, names):
    """Outputs and acknowledgement leave in one MULTI, so even a killed process has each effect exactly once."""
    source, target, total = names.requests("risk"), names.updates("risk"), 5000

    async def produce():
        for i in range(0, total, 25):
            pipe = js.pipeline(transaction=False)
            for k in range(i, i + 25):
                pipe.xadd(source, {"data": str(k)})
            await pipe.execute()
            await asyncio.sleep(0.006)

    command = (sys.executable, "-c", CHILD, redis_url, names.namespace)
    producing = asyncio.create_task(produce())
    for _ in range(4):
        child = await asyncio.create_subprocess_exec(*command)
        await asyncio.sleep(0.6)
        child.kill()
        await child.wait()
    await producing
    child = await asyncio.create_subprocess_exec(*command)
    async with asyncio.timeout(10):
        while await js.xlen(target) < total:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    child.kill()
    await child.wait()
    assert await data_of(js, target) == [b"%d" % i for i in range(total)]


async def test_who_may_not_read_takes_no_entry_and_goes_on_when_it_may(make_bus, start, js, names, until):
    bus, may, read = await make_bus(), [True], []
    bus.read_while(lambda: may[0])
    stream = names.requests("orders")
    consumer = bus.consumer("orders", {stream: lambda entry: (read.append(entry.data), bus.outbox.ack(entry))})
    start(consumer)
    await js.xadd(stream, {"data": "1"})
    await until(lambda: len(read) == 1)
    may[0] = False
    await js.xadd(stream, {"data": "2"})  # ends the read that was under way
    await until(lambda: len(read) == 2)
    await js.xadd(stream, {"data": "3"})
    await asyncio.sleep(0.2)
    assert len(read) == 2 and (await js.xpending(stream, "orders"))["pending"] == 0
    may[0] = True
    bus.resume()
    await until(lambda: read == [b"1", b"2", b"3"])


async def told_together(bus, stream, count, epoch=1):
    """Tell updates while a write is in flight, so that they share an entry."""
    writer = UpdatesWriter(bus.outbox, stream, epoch)
    for number in range(count):
        writer.add(SnapshotEnd, asker="test", token=str(number))
    await bus.outbox.flush()


async def test_updates_that_share_an_entry_are_handled_one_by_one(make_bus, start, js, names, until):
    """Each by itself and in order; the entry is acknowledged with the last, and one that is malformed is dead alone."""
    bus, writing = await make_bus(), await make_bus(role="orders")
    stream, seen = names.updates("orders"), []

    def handle(entry):
        seen.append(entry)
        if b'"token":"1"' in entry.data:
            raise Malformed("not this one")
        bus.outbox.ack(entry)

    consumer = bus.consumer("risk", {stream: handle})
    start(consumer)
    await told_together(writing, stream, 4)
    await until(lambda: len(seen) == 4 and consumer.unacked == 0)
    await bus.outbox.flush()
    assert await js.xlen(stream) == 1
    assert [peek(entry.data) for entry in seen] == [(b"snapshot_end", 1, n) for n in (1, 2, 3, 4)]
    assert (await js.xpending(stream, "risk"))["pending"] == 0
    ((_, dead),) = await js.xrange(names.dead)
    assert dead[b"payload"] == seen[1].data


async def test_a_part_that_is_not_acknowledged_brings_the_whole_entry_again(make_bus, start, js, names, until):
    """A writer that dies between two parts: its successor gets all of them, marked, and knows by their numbers."""
    writing, stream = await make_bus(role="orders"), names.updates("orders")
    bus, seen = await make_bus(), []
    consumer = bus.consumer("risk", {stream: lambda e: (seen.append(e), e.part == 1 or bus.outbox.ack(e))})
    task = start(consumer)
    await told_together(writing, stream, 3)
    await until(lambda: len(seen) == 3)
    await bus.outbox.flush()
    assert consumer.unacked == 3
    assert (await js.xpending(stream, "risk"))["pending"] == 1
    task.cancel()
    successor, again = await make_bus(), []
    consumer = successor.consumer("risk", {stream: lambda e: (again.append(e), successor.outbox.ack(e))})
    start(consumer)
    await until(lambda: len(again) == 3 and consumer.unacked == 0)
    assert [entry.data for entry in again] == [entry.data for entry in seen]
    assert all(entry.redelivered and entry.suspect for entry in again)
    assert (await js.xpending(stream, "risk"))["pending"] == 0


async def test_a_gap_shows_inside_a_shared_entry_too(make_bus, start, js, names, until):
    bus, stream, gaps, seen = await make_bus(), names.updates("orders"), [], []
    detector = GapDetector(lambda *gap: gaps.append(gap))

    def handle(entry):
        seen.append(detector.accept(*peek(entry.data)[1:]))
        bus.outbox.ack(entry)

    start(bus.consumer("risk", {stream: handle}))
    told = [b'{"t":"x","epoch":1,"n":%d,"a":1}' % n for n in (1, 2, 4, 4, 3)]
    await js.xadd(stream, {"updates": b"\n".join(told)})
    await until(lambda: len(seen) == 5)
    assert seen == [True, True, True, False, True]
    assert gaps == [(1, 3, 3)]
    assert detector.missing == ()


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_read_brings_as_many_updates_however_many_share_an_entry(make_bus, start, js, names, until, fresh):
    """A backlog of full entries does not hold up what else a service reads: after the first reads it comes in parts."""
    stream, turns, full = names.updates("orders"), [[]], b"\n".join([b"{}"] * 20)
    await js.xgroup_create(stream, "risk", id="0", mkstream=True)
    bus = await make_bus()
    if fresh:
        start(bus.consumer("risk", {names.requests("risk"): bus.outbox.ack}, part="first"))
        await until(lambda: bus.incarnation.identity)
        await asyncio.sleep(0.01)

    def handle(entry):
        if not turns[-1]:
            asyncio.get_running_loop().call_soon(turns.append, [])
        turns[-1].append(entry)
        bus.outbox.ack(entry)

    for _ in range(300):
        await js.xadd(stream, {"updates": full})
    consumer = bus.consumer("risk", {stream: handle})
    start(consumer)
    await until(lambda: sum(map(len, turns)) == 300 * 20 and consumer.unacked == 0)
    sizes = [len(turn) for turn in turns if turn]
    assert sizes[:2] == [2000, 2000]  # the second was asked for before the first was looked at
    assert set(sizes[2:]) == {100}


async def test_what_comes_of_the_parts_of_an_entry_leaves_in_one_write(make_bus, start, js, names, until):
    """Let go one by one, the second part's outputs would wait for Redis to answer the first's: a write each."""
    bus = await make_bus()
    stream, out, told = names.updates("orders"), names.updates("risk"), []

    def handle(entry):
        told.append(entry.data)
        bus.outbox.tell(out, entry.data)
        bus.outbox.ack(entry)

    start(bus.consumer("risk", {stream: handle}))
    await until(lambda: bus.incarnation.identity)
    await asyncio.sleep(0.05)
    await js.xadd(stream, {"updates": b"1\n2\n3"})
    await until(lambda: told)
    await bus.outbox.flush()
    assert [fields for _, fields in await js.xrange(out)] == [{b"updates": b"1\n2\n3"}]


async def test_what_nobody_waits_for_gathers_until_somebody_does(make_bus, start, js, names, until, monkeypatch):
    monkeypatch.setattr(reader, "PAUSE_S", 3600)
    bus = await make_bus()
    stream, seen, calm = names.updates("orders"), [], [True]

    def handle(entry):
        seen.append(entry.data)
        bus.outbox.ack(entry)

    consumer = bus.consumer("gateway", {stream: handle}, calm=lambda: calm[0])
    running = start(consumer)
    await js.xadd(stream, {"data": "1"})
    await until(lambda: seen == [b"1"])
    await js.xadd(stream, {"data": "2"})
    await js.xadd(stream, {"data": "3"})
    assert (await js.xinfo_groups(stream))[0]["lag"] == 2  # no read takes them
    consumer.hurry()
    await until(lambda: seen == [b"1", b"2", b"3"])
    calm[0] = False
    consumer.hurry()
    for data in ("4", "5"):
        await js.xadd(stream, {"data": data})
        await until(lambda data=data: seen[-1] == data.encode())
    calm[0] = True
    await js.xadd(stream, {"data": "6"})
    await until(lambda: seen[-1] == b"6")
    await consumer.stop()  # a pause does not hold it up
    await running


async def test_a_backlog_is_read_without_pauses(make_bus, start, js, names, until, monkeypatch):
    monkeypatch.setattr(reader, "PAUSE_S", 3600)
    bus = await make_bus()
    stream, seen = names.updates("orders"), []

    def handle(entry):
        seen.append(entry.data)
        bus.outbox.ack(entry)

    for n in range(3 * reader.COUNT + 1):
        await js.xadd(stream, {"data": str(n)})
    start(bus.consumer("gateway", {stream: handle}, calm=lambda: True))
    await until(lambda: len(seen) == 3 * reader.COUNT + 1)


async def test_the_age_of_what_is_read_is_measured(make_bus, start, js, names, until):
    bus = await make_bus()
    stream, seen = names.requests("risk"), []
    start(bus.consumer("risk", {stream: lambda entry: (seen.append(entry), bus.outbox.ack(entry))}))
    for i in range(2 * reader.MEASURED):
        await js.xadd(stream, {"data": str(i)})
        await until(lambda i=i: len(seen) == i + 1)
    told = metrics.counts("stream_delay_seconds")[f"stream_delay_seconds {stream}"]
    assert told[math.inf] == 2
    assert told[10.0] == 2
