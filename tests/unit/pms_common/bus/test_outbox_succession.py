"""The outbox of a writer that has a successor, or may not write for a while."""

import asyncio

import pytest
from tests.unit.pms_common.bus.redis_model import STREAM, Model, ignore, running, until

from pms_common.bus.errors import OutboxError
from pms_common.bus.outbox import Outbox


async def test_another_writer_of_the_role_hides_no_write_that_was_executed():
    """A predecessor that goes on may still have a write under way: its successor is not to repeat itself for that."""
    model, may_dial = Model(["unanswered"]), asyncio.Event()
    may_dial.set()

    async def dial():
        await may_dial.wait()
        return await model.dial()

    successor = Outbox(dial, "mark", ready=ignore)
    writing = asyncio.ensure_future(successor.run())
    await until(lambda: model.connections)
    may_dial.clear()
    successor.add(STREAM, b"successor")
    await until(lambda: model.entries)
    predecessor, task = await running(model)
    predecessor.add(STREAM, b"predecessor")
    await asyncio.wait_for(predecessor.flush(), 5)
    may_dial.set()
    await asyncio.wait_for(successor.flush(), 5)
    assert model.entries == [b"successor", b"predecessor"]
    for each in (task, writing):
        each.cancel()
    await asyncio.gather(task, writing, return_exceptions=True)


@pytest.mark.parametrize("fate", ["ok", "unread", "unanswered"])
async def test_what_is_held_when_the_lease_ends_waits_for_it_and_is_written_once(fate):
    model, may = Model([fate]), [True]
    outbox, task = await running(model)
    outbox.write_while(lambda: may[0])
    await until(lambda: model.connections)
    outbox.add(STREAM, b"1")
    outbox.end_stretch()
    may[0] = False
    outbox.add(STREAM, b"2")
    for _ in range(50):
        await asyncio.sleep(0)
    assert model.entries == ([] if fate == "unread" else [b"1"])
    may[0] = True
    outbox.resume()
    await asyncio.wait_for(outbox.flush(), 5)
    assert model.entries == [b"1", b"2"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_held_when_another_has_taken_the_lease_is_never_written():
    model = Model()
    outbox, task = await running(model)
    outbox.write_while(lambda: False)
    await until(lambda: model.connections)
    outbox.add(STREAM, b"1")
    flushing = asyncio.ensure_future(outbox.flush())
    await asyncio.sleep(0)
    outbox.forbid("another process has taken the lease")
    with pytest.raises(OutboxError, match="lease"):
        await flushing
    outbox.add(STREAM, b"2")
    outbox.write_while(lambda: True)
    outbox.resume()
    with pytest.raises(OutboxError, match="lease"):
        await task
    assert not model.entries
