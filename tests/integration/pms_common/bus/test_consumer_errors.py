"""Entries that cannot be handled: what is malformed or poison is dead with a reason, and no internal one is skipped."""

import asyncio

import pytest
from tests.integration.pms_common.bus.streams import data_of

from pms_common.bus import Malformed


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
