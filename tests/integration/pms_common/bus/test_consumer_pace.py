"""When a consumer reads: not beyond what it may hold, not while it may not, and calmly where nobody waits."""

import asyncio
import math

from pms_common import metrics
from pms_common.bus import reader


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
