"""The outbox against a model of Redis that loses connections at every possible point, thousands of times."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pms_common.bus.redis_model import STREAM, Model, ignore, running

from pms_common.bus.entry import Entry, Tracker
from pms_common.bus.errors import OutboxError, OutboxFull
from pms_common.bus.outbox import Outbox

fates = st.sampled_from(["ok", "unread", "unanswered", "half", "busy"])


programs = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=25)


@settings(deadline=None, max_examples=300)
@given(program=programs, plan=st.lists(fates, max_size=12), how=st.sampled_from([Outbox.add, Outbox.tell]))
def test_each_stretch_is_executed_once_in_order_and_whole(program, plan, how):
    """Whatever is lost: every entry is in the stream exactly once, in order, with all of its stretch in one MULTI.

    So is every update, though those that leave together share entries. What is express is there once at most.
    """

    async def scenario():
        model = Model(plan)
        outbox, task = await running(model)
        stretches, number, express = [], 0, 0
        for size, turns, passing in program:
            stretch = [b"%d" % (number + i) for i in range(size)]
            number += size
            for data in stretch:
                how(outbox, STREAM, data)
            stretches.append(stretch)
            for _ in range(passing):
                outbox.express(STREAM, b"x%d" % express)
                express += 1
            await asyncio.sleep(0)  # the stretch ends with the first await, whatever others do
            for _ in range(turns):
                await asyncio.sleep(0)
        await asyncio.wait_for(outbox.flush(), 5)
        passed = [int(data[1:]) for data in model.entries if data.startswith(b"x")]
        assert [data for data in model.entries if not data.startswith(b"x")] == [b"%d" % i for i in range(number)]
        assert passed == sorted(set(passed))
        for stretch in stretches:
            assert any(set(stretch) <= set(executed) for executed in model.execs)
        assert outbox.pending == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


@settings(deadline=None, max_examples=100)
@given(plan=st.lists(fates, max_size=8), count=st.integers(1, 30))
def test_output_and_acknowledgement_are_one(plan, count):
    """An entry is acknowledged if and only if its output is there, at every moment."""

    async def scenario():
        model = Model(plan)
        outbox, task = await running(model)
        confirmed = []
        tracker = Tracker("in", "g", "0-0", confirmed.append)
        for i in range(1, count + 1):
            entry = Entry(tracker, f"{i}-0", b"%d" % i, {})
            tracker.opened(entry.id)
            outbox.add(STREAM, b"%d-0" % i)
            outbox.ack(entry)
            await asyncio.sleep(0)
            assert set(model.entries) == set(model.acked)
        await asyncio.wait_for(outbox.flush(), 5)
        assert model.entries == model.acked == [b"%d-0" % i for i in range(1, count + 1)]
        assert len(tracker) == 0
        assert sum(confirmed) == count
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


async def test_gathers_while_a_write_is_in_flight():
    """One write for the first, one for all that came meanwhile."""
    model = Model()
    outbox, task = await running(model)
    outbox.add(STREAM, b"first")
    await outbox.flush()
    for i in range(50):
        outbox.add(STREAM, b"%d" % i)
        if i == 0:
            outbox.end_stretch()
    outbox.end_stretch()
    await outbox.flush()
    assert model.writes == 3
    task.cancel()


async def test_a_repeatable_command_alone_needs_no_multi():
    model = Model()
    outbox, task = await running(model)
    outbox.set("k", b"v", 30)
    await outbox.flush()
    assert model.keys == {b"k": b"v"}
    outbox.add(STREAM, b"1")
    await outbox.flush()
    assert {key.partition(b":")[0] for key in model.keys} == {b"k", b"mark"}
    task.cancel()


class Counter:
    n = 0

    def mark(self):
        return self.n

    def back(self, mark):
        self.n = mark


async def test_rollback_forgets_commands_acks_and_numbers():
    model, counter = Model(), Counter()
    outbox, task = await running(model)
    outbox.register(counter)
    tracker = Tracker("in", "g", "0-0", lambda _count: None)
    entry = Entry(tracker, "1-0", b"", {})
    outbox.begin_stretch()
    outbox.add(STREAM, b"kept")
    counter.n = 1
    savepoint = outbox.savepoint()
    outbox.add(STREAM, b"forgotten")
    outbox.ack(entry)
    counter.n = 2
    outbox.rollback(savepoint)
    outbox.end_stretch()
    await outbox.flush()
    assert model.entries == [b"kept"]
    assert model.acked == []
    assert counter.n == 1
    task.cancel()


async def test_full_by_commands_and_by_bytes():
    for bounds, data in (({"max_commands": 3}, b"x"), ({"max_bytes": 100}, b"x" * 60)):
        outbox = Outbox(Model().dial, "mark", ready=ignore, **bounds)  # not running: nothing is written
        seen = []
        for _ in range(4):
            seen.append(outbox.full)
            outbox.add(STREAM, data)
            outbox.end_stretch()
        assert not seen[0]
        assert outbox.full


async def test_a_producer_that_ignores_full_is_stopped():
    outbox = Outbox(Model().dial, "mark", ready=ignore, max_commands=10)
    for _ in range(81):
        outbox.add(STREAM, b"x")
        outbox.end_stretch()
    with pytest.raises(OutboxFull):
        await outbox.flush()


async def test_an_error_inside_exec_fails_waiters_and_run():
    model = Model()
    model.apply = lambda words: b"-WRONGTYPE no stream\r\n" if words[0] == b"XADD" else Model.apply(model, words)
    outbox, task = await running(model)
    outbox.add(STREAM, b"1")
    outbox.add(STREAM, b"2")
    with pytest.raises(OutboxError, match="WRONGTYPE"):
        await outbox.flush()
    with pytest.raises(OutboxError, match="WRONGTYPE"):
        await task
