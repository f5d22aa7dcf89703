"""Acknowledgements: with the last part of an entry, and with the next write."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_common.bus.redis_model import STREAM, Model, running

from pms_common.bus.entry import Entry, Tracker


@given(parts=st.integers(1, 8), order=st.lists(st.integers(0, 7), max_size=30))
def test_an_entry_is_acknowledged_with_the_last_of_its_parts(parts, order):
    """In whatever order they are acknowledged, also twice."""

    async def scenario():
        model = Model()
        outbox, task = await running(model)
        tracker = Tracker("in", "g", "0-0", lambda _count: None)
        tracker.opened("1-0", parts)
        unsettled, acked = set(range(parts)), set()
        for part in order:
            if part >= parts:
                continue
            outbox.ack(Entry(tracker, "1-0", b"", {}, part=part, unsettled=unsettled))
            await outbox.flush()
            acked.add(part)
            assert bool(model.acked) == (len(acked) == parts)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def entry_of(number):
    return Entry(Tracker("in", "risk", "0-0", lambda count: None), f"{number}-0", b"", {})


async def test_acknowledgements_alone_wait_for_a_write_to_go_with(monkeypatch):
    monkeypatch.setattr("pms_common.bus.outbox.LATE_S", 60)
    model = Model()
    outbox, running_task = await running(model)
    await outbox.flush()
    outbox.ack(entry_of(1))
    await asyncio.sleep(0.005)
    assert model.acked == []
    outbox.add(STREAM, b"x")
    await outbox.flush()
    assert model.acked == [b"1-0"]
    assert model.writes == 1
    running_task.cancel()


async def test_acknowledgements_that_nothing_follows_go_after_a_moment_and_when_they_are_many(monkeypatch):
    model = Model()
    outbox, running_task = await running(model)
    await outbox.flush()
    outbox.ack(entry_of(1))
    await asyncio.sleep(0.06)
    assert model.acked == [b"1-0"]
    monkeypatch.setattr("pms_common.bus.outbox.LATE_S", 60)
    for number in range(2, 203):
        outbox.ack(entry_of(number))
    await asyncio.sleep(0.01)
    assert len(model.acked) >= 200
    running_task.cancel()


async def test_flush_waits_for_late_acknowledgements_too():
    model = Model()
    outbox, running_task = await running(model)
    outbox.ack(entry_of(1))
    await asyncio.sleep(0)
    await outbox.flush()
    assert model.acked == [b"1-0"]
    running_task.cancel()


async def test_what_is_late_waits_for_a_write_to_go_with_and_keeps_its_acknowledgement(monkeypatch):
    """A mark and the acknowledgement of its entry leave in one MULTI, with the next thing somebody waits for."""
    monkeypatch.setattr("pms_common.bus.outbox.LATE_S", 60)
    model = Model()
    outbox, running_task = await running(model)
    outbox.add(STREAM, b"mark", late=True)
    outbox.ack(entry_of(1))
    await asyncio.sleep(0.005)
    assert model.writes == 0 and outbox.pending == 1
    await outbox.flush(late=False)
    assert model.writes == 0
    outbox.add(STREAM, b"awaited")
    await outbox.flush(late=False)
    assert (model.entries, model.acked, model.writes) == ([b"mark", b"awaited"], [b"1-0"], 1)
    outbox.add(STREAM, b"last", late=True)
    await outbox.flush()
    assert model.entries[-1] == b"last" and outbox.pending == 0
    running_task.cancel()
