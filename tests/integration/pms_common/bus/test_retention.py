"""R-28: streams stay bounded under a dead consumer, nothing unacknowledged is trimmed, and lag is told."""

import time

import pytest
from prometheus_client import REGISTRY

from pms_common.bus import LagSampler, Trimmer
from pms_common.topology import Kind, Stream


async def fill(client, stream, count, data="x"):
    pipe = client.pipeline(transaction=False)
    for _ in range(count):
        pipe.xadd(stream, {"data": data})
    return [entry_id.decode() for entry_id in await pipe.execute()]


async def ids_of(client, stream):
    return [entry_id.decode() for entry_id, _ in await client.xrange(stream)]


async def read(client, stream, group, count, ack):
    got = await client.xreadgroup(group, group, {stream: ">"}, count=count)
    ids = [entry_id for entry_id, _ in got[0][1]]
    if ack:
        await client.xack(stream, group, *ids)
    return [entry_id.decode() for entry_id in ids]


def gauge_of(name, **labels):
    return REGISTRY.get_sample_value(f"pms_{name}", labels)


async def test_r28_work_stream_keeps_what_any_group_has_not_acknowledged(js, names):
    stream = Stream(names.op("trading_state"), Kind.WORK, ("risk", "orders"))
    trimmer = Trimmer(js, [stream])
    await js.xgroup_create(stream.name, "risk", id="0", mkstream=True)
    ids = await fill(js, stream.name, 2000)
    await read(js, stream.name, "risk", 2000, ack=True)
    await trimmer.trim()
    assert await js.xlen(stream.name) == 2000  # orders was never there
    await js.xgroup_create(stream.name, "orders", id="0")
    await trimmer.trim()
    assert await js.xlen(stream.name) == 2000  # orders has read nothing
    await read(js, stream.name, "orders", 1000, ack=True)
    held = await read(js, stream.name, "orders", 10, ack=False)
    await read(js, stream.name, "orders", 2000, ack=True)
    await trimmer.trim()
    left = await ids_of(js, stream.name)
    assert set(held) <= set(left)
    assert ids[1000:] == left[-1000:]
    assert len(left) <= 1000 + 100  # whole nodes of the stream, of 100 entries, go
    await js.xack(stream.name, "orders", *held)
    await trimmer.trim()
    assert await js.xlen(stream.name) <= 100


async def test_r28_dead_consumer_of_a_work_stream_is_told_and_loses_nothing(js, names):
    """A group that never read keeps everything; the bound is reached and new risk is to be refused."""
    stream = Stream(names.requests("orders"), Kind.WORK, ("orders",))
    other = Stream(names.urgent("orders"), Kind.WORK, ("orders",))
    await fill(js, stream.name, 600)
    trimmer, lag = Trimmer(js, [stream, other]), LagSampler(js, [stream, other], bounds={stream.name: 500})
    await trimmer.trim()
    await lag.sample()
    assert await js.xlen(stream.name) == 600
    assert lag.overloaded(stream.name)
    assert not lag.overloaded(other.name)  # cancels and closes have a stream and a bound of their own
    await js.xgroup_create(stream.name, "orders", id="0")
    await lag.sample()
    assert lag.overloaded(stream.name)
    await read(js, stream.name, "orders", 300, ack=True)
    await lag.sample()
    assert not lag.overloaded(stream.name)


async def test_r28_updates_stream_has_a_hard_cap_and_names_the_lost_group(js, names):
    stream = Stream(names.updates("orders"), Kind.UPDATES, ("risk", "algos", "gateway"))
    lost = []
    trimmer = Trimmer(js, [stream], on_lost=lambda name, group: lost.append((name, group)), updates_cap=1000)
    for group in stream.groups:
        await js.xgroup_create(stream.name, group, id="0", mkstream=True)
    await fill(js, stream.name, 1500)
    await read(js, stream.name, "risk", 1500, ack=True)
    await read(js, stream.name, "algos", 1500, ack=False)  # dead with everything pending
    await read(js, stream.name, "gateway", 500, ack=True)  # exactly where the cut will be
    await trimmer.trim()
    assert await js.xlen(stream.name) == 1000
    assert lost == [(stream.name, "algos")]
    await fill(js, stream.name, 100)
    lost.clear()
    await trimmer.trim()
    assert await js.xlen(stream.name) == 1000
    assert sorted(lost) == [(stream.name, "algos"), (stream.name, "gateway")]


async def test_r28_updates_stream_is_bounded_in_memory_too(js, names):
    stream = Stream(names.updates("orders"), Kind.UPDATES, ())
    for _ in range(100):
        await js.xadd(stream.name, {"updates": b"x" * 10_000})
    await Trimmer(js, [stream], updates_bytes=200_000).trim()
    assert 10 <= await js.xlen(stream.name) <= 25


async def test_dead_letters_are_kept_by_time(js, names):
    now = int(time.time() * 1000)
    await js.xadd(names.dead, {"reason": "old"}, id=f"{now - 10_000}-0")
    await js.xadd(names.dead, {"reason": "new"}, id=f"{now - 1_000}-0")
    await Trimmer(js, [], aged={names.dead: 5_000}).trim()
    assert [fields[b"reason"] for _, fields in await js.xrange(names.dead)] == [b"new"]


async def test_lag_is_a_metric(js, names):
    stream = Stream(names.requests("risk"), Kind.WORK, ("risk",))
    await js.xgroup_create(stream.name, "risk", id="0", mkstream=True)
    old = int(time.time() * 1000) - 60_000
    await js.xadd(stream.name, {"data": "x"}, id=f"{old}-0")
    await fill(js, stream.name, 9)
    await read(js, stream.name, "risk", 4, ack=False)
    await LagSampler(js, [stream]).sample()
    labels = {"stream": stream.name, "group": "risk"}
    assert gauge_of("stream_length", stream=stream.name) == 10
    assert gauge_of("stream_pending", **labels) == 4
    assert gauge_of("stream_lag", **labels) == 6
    assert gauge_of("stream_oldest_seconds", **labels) == pytest.approx(60, abs=2)


async def test_streams_that_do_not_exist_yet(js, names):
    stream = Stream(names.requests("risk"), Kind.WORK, ("risk",))
    lag = LagSampler(js, [stream])
    await lag.sample()
    await Trimmer(js, [stream], aged={names.dead: 1000}).trim()
    assert not lag.overloaded(stream.name)
    assert await js.exists(stream.name) == 0
