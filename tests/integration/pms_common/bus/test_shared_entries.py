"""Updates that share an entry: handled one by one, acknowledged together, counted each."""

import asyncio

import pytest

from pms_common.bus import GapDetector, Malformed, UpdatesWriter, peek
from pms_common.contracts.bus.common import SnapshotEnd


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
