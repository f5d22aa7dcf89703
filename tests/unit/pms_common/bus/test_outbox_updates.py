"""Updates that leave together share entries of their stream."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_common.bus.redis_model import STREAM, Model, running, until

from pms_common.bus.outbox import EXPRESS
from pms_common.bus.write import MAX_PACK, MAX_PACK_BYTES, packs


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


async def test_what_is_let_go_leaves_before_the_rest_of_its_turn():
    model = Model()
    outbox, running_task = await running(model)
    outbox.add(STREAM, b"0")
    await outbox.flush()
    outbox.begin_stretch()
    for data in (b"1", b"2", b"3"):
        outbox.tell(STREAM, data)
        outbox.let_go()  # the line is idle for the first only
    outbox.end_stretch()
    await outbox.flush()
    assert model.entries == [b"0", b"1", b"2", b"3"]
    assert model.sizes == [1, 1, 2]
    assert model.writes == 3
    running_task.cancel()


async def test_what_is_express_passes_a_write_in_flight_and_all_that_is_gathered():
    model = Model()
    outbox, running_task = await running(model)
    outbox.add(STREAM, b"0")
    await outbox.flush()
    outbox.begin_stretch()
    outbox.add(STREAM, b"in flight")
    outbox.let_go()
    outbox.add(STREAM, b"gathered")
    for number in range(EXPRESS + 1):
        outbox.express(STREAM, b"%d" % number)
    outbox.end_stretch()
    await outbox.flush()
    assert model.entries == [b"0", b"in flight", *(b"%d" % number for number in range(EXPRESS + 1)), b"gathered"]
    assert model.writes == 5, "those that leave together are one write"
    running_task.cancel()


async def test_what_is_express_is_not_kept_for_a_line_that_is_lost_or_may_not_be_written():
    model = Model(["ok", "unread"])
    outbox, running_task = await running(model)
    outbox.express(STREAM, b"without a line")
    outbox.end_stretch()
    outbox.add(STREAM, b"0")
    await outbox.flush()
    outbox.express(STREAM, b"lost")
    outbox.end_stretch()
    await until(lambda: model.connections == 2)
    outbox.write_while(lambda: False)
    outbox.express(STREAM, b"forbidden")
    outbox.end_stretch()
    outbox.write_while(lambda: True)
    outbox.add(STREAM, b"1")
    await outbox.flush()
    assert model.entries == [b"0", b"1"]
    running_task.cancel()
