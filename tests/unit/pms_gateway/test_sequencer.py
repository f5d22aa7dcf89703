"""Numbers and event ids of the public log."""

from hypothesis import given
from hypothesis import strategies as st

from pms_gateway.domain.sequencer import MAX_KEYS, Sequencer, parse_id

accounts = st.sampled_from(["a", "b", "*"])
events = st.lists(st.tuples(st.text("xyz", min_size=1, max_size=3), accounts, st.integers(0, 5)))


@given(events)
def test_seq_rises_by_one_per_account_and_event_ids_rise(given_events: list[tuple[str, str, int]]) -> None:
    sequencer = Sequencer(7, (3, 5), {"a": 10})
    seqs = {"a": 10, "b": 0, "*": 0}
    seen: set[str] = set()
    last = (3, 5)
    for key, account, now_ms in given_events:
        stamp = sequencer.take(key, account, now_ms)
        assert (stamp is None) == (key in seen)
        seen.add(key)
        if stamp is None:
            continue
        seqs[account] += 1
        assert stamp.seq == seqs[account]
        assert stamp.epoch == 7
        assert parse_id(stamp.event_id) > last
        last = parse_id(stamp.event_id)


def test_keys_are_bounded_and_the_oldest_is_forgotten() -> None:
    sequencer = Sequencer(1, (0, 0), {}, ["old", "newer"], max_keys=2)
    assert sequencer.take("newer", "a", 1) is None
    assert sequencer.take("third", "a", 1) is not None
    assert sequencer.take("newer", "a", 1) is None
    assert sequencer.take("old", "a", 1) is not None


def test_the_clock_may_go_back() -> None:
    sequencer = Sequencer(1, (100, 3), {})
    first = sequencer.take("k1", "a", 50)
    second = sequencer.take("k2", "a", 101)
    assert first is not None
    assert second is not None
    assert first.event_id == "100-4"
    assert second.event_id == "101-0"


def test_a_minute_of_the_largest_load_is_remembered_and_no_more() -> None:
    minute = 60 * 3_000
    assert minute <= MAX_KEYS
    sequencer = Sequencer(1, (0, 0), {})
    for n in range(MAX_KEYS + 10):
        assert sequencer.take(f"k{n}", "a", n) is not None
    assert all(sequencer.take(f"k{n}", "a", n) is None for n in range(MAX_KEYS + 10 - minute, MAX_KEYS + 10))
    assert sequencer.take("k9", "a", 1) is not None
