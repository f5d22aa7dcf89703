"""The tracker: its cursor is always just what is acknowledged without a hole."""

from hypothesis import given
from hypothesis import strategies as st

from pms_common.bus.entry import Entry, Tracker


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), max_size=200))
def test_cursor_is_below_every_unacknowledged_entry(steps):
    """Whatever order entries are acknowledged in."""
    counted = []
    tracker = Tracker("s", "g", "0-0", counted.append)
    handed_out, done = [], set()
    for is_open, pick in steps:
        waiting = [entry_id for entry_id in handed_out if entry_id not in done]
        if is_open or not waiting:
            entry_id = f"{len(handed_out) + 1}-0"
            tracker.opened(entry_id)
            handed_out.append(entry_id)
        else:
            entry_id = waiting[pick % len(waiting)]
            tracker.confirmed([entry_id])
            done.add(entry_id)
        unacked = [i for i, entry_id in enumerate(handed_out, 1) if entry_id not in done]
        expected = (unacked[0] if unacked else len(handed_out) + 1) - 1
        assert tracker.cursor == f"{expected}-0"
        assert len(tracker) == len(unacked)
        assert tracker.remembered() == {f"{i}-0" for i in range(expected + 1, len(handed_out) + 1)}
    assert sum(counted) == len(done)


def test_confirmed_twice_counts_once():
    counted = []
    tracker = Tracker("s", "g", "0-0", counted.append)
    tracker.opened("1-0")
    tracker.confirmed(["1-0"])
    tracker.confirmed(["1-0"])
    assert sum(counted) == 1


def test_recheck_covers_what_was_handed_out_and_what_comes_again():
    tracker = Tracker("s", "g", "5-0", lambda _count: None)
    tracker.recheck("0-0")
    assert tracker.known_until == (5, 0)
    tracker.opened("7-0")
    tracker.recheck("6-0")
    assert (tracker.known_until, tracker.replayed_until) == ((7, 0), (6, 0))


def test_entry_tells_stream_and_time():
    entry = Entry(Tracker("s", "g", "0-0", lambda _count: None), "1700000000000-3", b"", {})
    assert (entry.stream, entry.ms) == ("s", 1_700_000_000_000)
