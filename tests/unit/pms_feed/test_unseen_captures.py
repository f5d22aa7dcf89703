"""Captures nobody has recorded: whatever a recorder's habits, the book equals every bookTicker, or is said not to."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.captures import Replay, lines
from tests.data.test_captures import test_book_equals_every_recorded_book_ticker as check_book
from tests.data.test_captures import test_merged_l1_is_every_book_ticker_and_never_goes_back as check_l1
from tests.unit.pms_feed.made_captures import Habits, Recorded

recorders = st.builds(
    Habits,
    before=st.sampled_from(["time", "address", "nothing"]),
    wrapped=st.booleans(),
    kind=st.sampled_from(["depth@100ms", "depth@0ms", "depth@500ms", "depth"]),
    packed=st.sampled_from(["gzip", "members", "plain"]),
    numbers=st.booleans(),
    spaces=st.booleans(),
    more_fields=st.booleans(),
    other_streams=st.booleans(),
    repeated=st.booleans(),
    snapshot_late=st.integers(0, 120),
    more_snapshots=st.booleans(),
    reconnect=st.booleans(),
    broken_off=st.booleans(),
)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), symbols=st.integers(1, 3), habits=recorders)
def test_the_book_equals_every_book_ticker_whatever_the_recorders_habits(
    tmp_path_factory: pytest.TempPathFactory, seed: int, symbols: int, habits: Habits
) -> None:
    path = tmp_path_factory.mktemp("made") / "capture"
    Recorded(seed, symbols, habits).write(path)
    replay = Replay(path)
    assert not replay.unequal
    assert not replay.beyond
    assert len(replay.streams) == symbols
    for stream in replay.streams.values():
        assert stream.update_id == stream.last_id
        assert len(stream.bests) > 20
    check_book(path, lambda _name, _value: None)
    check_l1(path)


@pytest.mark.parametrize("field", ["b", "B", "a", "A"])
def test_a_single_wrong_book_ticker_is_found(tmp_path: Path, field: str) -> None:
    recorded = Recorded(1, 2, Habits(snapshot_late=5))
    quotes = [message["data"] for _, message in recorded.messages if "@bookTicker" in message.get("stream", "")]
    diffs = [message["data"] for _, message in recorded.messages if "@depth" in message.get("stream", "")]
    seen = [diff["u"] for diff in diffs if diff["s"] == "SYM0USDT"][-20]
    in_force = [quote for quote in quotes if quote["s"] == "SYM0USDT" and quote["u"] <= seen][-1]
    in_force[field] = f"{float(in_force[field]) * (0.9 if field in 'bB' else 1.1):.3f}"
    recorded.write(tmp_path / "capture")
    replay = Replay(tmp_path / "capture")
    assert (symbol := replay.unequal[0][0]) == "SYM0USDT", symbol


def test_a_diff_that_is_missing_is_a_gap_and_the_book_stands_again_on_the_next_snapshot(tmp_path: Path) -> None:
    recorded = Recorded(2, 1, Habits(more_snapshots=True))
    diffs = [at for at, (_, message) in enumerate(recorded.messages) if "@depth" in message.get("stream", "")]
    del recorded.messages[diffs[40]]
    recorded.write(tmp_path / "capture")
    replay = Replay(tmp_path / "capture")
    (stream,) = replay.streams.values()
    assert not replay.unequal
    assert (stream.gaps, stream.breaks) == (1, 1)
    assert stream.update_id == stream.last_id


def test_a_market_message_in_the_middle_that_nobody_can_read_is_named(tmp_path: Path) -> None:
    recorded = Recorded(3, 1, Habits(packed="plain"))
    recorded.write(tmp_path / "capture")
    content = (tmp_path / "capture").read_bytes().replace(b'"u":', b'"u"', 1)
    (tmp_path / "capture").write_bytes(content)
    with pytest.raises(ValueError, match="message 1 is no JSON"):
        list(lines(tmp_path / "capture"))


def test_a_file_that_is_one_document_or_a_list_of_messages_is_read(tmp_path: Path) -> None:
    messages = [message for _, message in Recorded(4, 1, Habits()).messages]
    for document in (messages, messages[0]):
        (tmp_path / "capture").write_text(json.dumps(document, indent=2))
        assert len(list(lines(tmp_path / "capture"))) == (len(messages) if document is messages else 1)
