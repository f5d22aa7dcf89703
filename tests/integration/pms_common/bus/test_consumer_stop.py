"""Consumers that are stopped or killed under load lose and repeat nothing."""

import asyncio
import sys

import pytest
from tests.integration.pms_common.bus.streams import data_of


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
