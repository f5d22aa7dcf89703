"""Consumers on a real server: own pending first, then what is new, in order; acknowledged; of many streams."""

import asyncio


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
