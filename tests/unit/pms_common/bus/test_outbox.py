"""The outbox against a model of Redis that loses connections at every possible point, thousands of times."""

import asyncio

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.bus import dial as dial_module
from pms_common.bus.entry import SEPARATOR, Entry, Tracker, updates_in
from pms_common.bus.errors import OutboxError, OutboxFull
from pms_common.bus.outbox import Outbox
from pms_common.bus.resp import Connection
from pms_common.bus.write import MAX_PACK, MAX_PACK_BYTES, packs

STREAM = "s"


class Model:
    """The part of Redis that the outbox relies on: MULTI is atomic, keys keep their value, connections end.

    `plan` says for each write what becomes of it: "ok"; "unread": lost before execution; "unanswered": executed, but
    the replies are lost; "half": so is half of the replies; "busy": refused by a passing error.
    """

    def __init__(self, plan=()):
        self.plan = list(plan)
        self.keys = {}
        self.entries = []
        self.sizes = []
        self.acked = []
        self.execs = []
        self.connections = 0
        self.writes = 0

    async def dial(self):
        self.connections += 1
        connection = Connection()
        connection.connection_made(Line(self, connection))
        return connection

    def execute(self, commands):
        queued: list[list[bytes]] | None = None
        replies = []
        for words in commands:
            name = words[0]
            if name == b"MULTI":
                queued = []
                replies.append(b"+OK\r\n")
            elif name == b"EXEC":
                done = b"".join(self.apply(command) for command in queued)
                self.execs.append([data for w in queued if w[0] == b"XADD" for data in w[4].split(SEPARATOR)])
                replies.append(b"*%d\r\n%s" % (len(queued), done))
                queued = None
            elif queued is not None:
                queued.append(words)
                replies.append(b"+QUEUED\r\n")
            else:
                replies.append(self.apply(words))
        return b"".join(replies)

    def apply(self, words):
        match words:
            case [b"SET", key, value, *_]:
                self.keys[key] = value
                return b"+OK\r\n"
            case [b"GET", key]:
                value = self.keys.get(key)
                return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
            case [b"XADD", _, b"*", b"data" | b"updates" as field, data]:
                held = updates_in({field: data})
                assert (field == b"data") == (len(held) == 1)
                self.entries += held
                self.sizes.append(len(held))
                return b"$3\r\n1-1\r\n"
            case [b"XACK", _, _, *ids]:
                self.acked += ids
                return b":%d\r\n" % len(ids)
        raise AssertionError(words)


class Line(asyncio.Transport):
    def __init__(self, model, connection):
        super().__init__()
        self._model = model
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader()
        self._open = True

    def get_extra_info(self, name, default=None):
        return None

    def write(self, data):
        self._loop.call_soon(self._arrive, data)

    def abort(self):
        self._open = False

    def _lose(self):
        self._open = False
        self._connection.connection_lost(OSError("lost"))

    def _arrive(self, data):
        if not self._open:
            return
        commands = []
        self._parser.feed(data)
        while (command := self._parser.gets()) is not False:
            commands.append(command)
        if commands[0][0] == b"GET":
            self._answer(self._model.execute(commands))
            return
        self._model.writes += 1
        fate = self._model.plan.pop(0) if self._model.plan else "ok"
        if fate == "unread":
            self._lose()
            return
        if fate == "busy":
            multi = commands[0][0] == b"MULTI"
            errors = [b"-OOM command not allowed\r\n"] * (len(commands) - 2)
            self._answer(b"+OK\r\n" + b"".join(errors) + b"-EXECABORT\r\n" if multi else b"-OOM not allowed\r\n")
            return
        replies = self._model.execute(commands)
        if fate == "ok":
            self._answer(replies)
            return
        if fate == "half":
            self._answer(replies[: len(replies) // 2])
        self._lose()

    def _answer(self, replies):
        self._connection.data_received(replies)


def ignore(_part, _ok, _why):
    pass


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(dial_module, "BACKOFF_FIRST_S", 0.0)


async def running(model, **bounds):
    outbox = Outbox(model.dial, "mark", ready=ignore, **bounds)
    return outbox, asyncio.ensure_future(outbox.run())


fates = st.sampled_from(["ok", "unread", "unanswered", "half", "busy"])
programs = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), min_size=1, max_size=25)


@settings(deadline=None, max_examples=300)
@given(program=programs, plan=st.lists(fates, max_size=12), how=st.sampled_from([Outbox.add, Outbox.tell]))
def test_each_stretch_is_executed_once_in_order_and_whole(program, plan, how):
    """Whatever is lost: every entry is in the stream exactly once, in order, with all of its stretch in one MULTI.

    So is every update, though those that leave together share entries.
    """

    async def scenario():
        model = Model(plan)
        outbox, task = await running(model)
        stretches, number = [], 0
        for size, turns in program:
            stretch = [b"%d" % (number + i) for i in range(size)]
            number += size
            for data in stretch:
                how(outbox, STREAM, data)
            stretches.append(stretch)
            await asyncio.sleep(0)  # the stretch ends with the first await, whatever others do
            for _ in range(turns):
                await asyncio.sleep(0)
        await asyncio.wait_for(outbox.flush(), 5)
        assert model.entries == [b"%d" % i for i in range(number)]
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


@given(updates=st.lists(st.binary(max_size=80), max_size=200), big=st.integers(0, 3))
def test_updates_share_entries_in_their_order_and_within_bounds(updates, big):
    updates += [b"x" * MAX_PACK_BYTES] * big
    shared = list(packs(updates))
    assert [update for some in shared for update in some] == updates
    for some in shared:
        assert 1 <= len(some) <= MAX_PACK
        assert len(some) == 1 or sum(map(len, some)) <= MAX_PACK_BYTES


async def test_an_update_alone_is_an_entry_and_those_gathered_share_them():
    """One update leaves at once by itself; what comes while it is in flight leaves in as few entries as may be."""
    model = Model()
    outbox, task = await running(model)
    outbox.add(STREAM, b"0")
    await outbox.flush()  # the line is there
    outbox.tell(STREAM, b"1")
    outbox.end_stretch()
    for i in range(2, MAX_PACK + 7):
        outbox.tell(STREAM, b"%d" % i)
        outbox.end_stretch()
    await outbox.flush()
    assert model.entries == [b"%d" % i for i in range(MAX_PACK + 7)]
    assert model.sizes == [1, 1, MAX_PACK, 5]
    assert outbox.pending == 0
    task.cancel()


async def test_a_rollback_takes_updates_back():
    model = Model()
    outbox, task = await running(model)
    outbox.begin_stretch()
    outbox.tell(STREAM, b"kept")
    savepoint = outbox.savepoint()
    outbox.tell(STREAM, b"taken back")
    outbox.rollback(savepoint)
    outbox.end_stretch()
    await outbox.flush()
    assert model.entries == [b"kept"]
    task.cancel()


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


def entry_of(number):
    return Entry(Tracker("in", "risk", "0-0", lambda count: None), f"{number}-0", b"", {})


async def test_acknowledgements_alone_wait_for_a_write_to_go_with(monkeypatch):
    monkeypatch.setattr("pms_common.bus.outbox.LATE_ACKS_S", 60)
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
    monkeypatch.setattr("pms_common.bus.outbox.LATE_ACKS_S", 60)
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


async def until(there):
    while not there():  # noqa: ASYNC110
        await asyncio.sleep(0)


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
