"""Numbered updates: gaps are seen exactly, repeats and lower epochs dropped, replays let in once."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.bus.errors import Malformed
from pms_common.bus.updates import MAX_GAPS, GapDetector, UpdatesWriter, peek
from pms_common.contracts.bus.base import Update
from pms_common.contracts.bus.common import RequestDone


@given(st.data())
def test_every_number_is_accepted_once_whatever_is_lost_repeated_or_replayed(data):
    """A reader of an ordered stream with losses and repeats asks for exactly what it lacks, and gets it once."""
    total = data.draw(st.integers(1, 60))
    lost = data.draw(st.sets(st.integers(1, total)))
    stream = [n for n in range(1, total + 1) if n not in lost for _ in range(data.draw(st.integers(1, 2)))]
    gaps = []
    detector = GapDetector(lambda epoch, first, last: gaps.append((epoch, first, last)))
    accepted = [n for n in stream if detector.accept(3, n)]
    assert accepted == sorted(set(stream))
    asked = {n for epoch, first, last in gaps for n in range(first, last + 1) if epoch == 3}
    last_seen = max(stream, default=0)
    assert asked == {n for n in lost if n < last_seen}
    replay = data.draw(st.permutations(sorted(asked)))
    accepted += [n for n in [*replay, *replay] if detector.accept(3, n)]
    assert sorted(accepted) == list(range(1, last_seen + 1))
    assert detector.missing == ()


def test_lower_epochs_are_dropped_and_a_higher_one_starts_at_one():
    gaps = []
    detector = GapDetector(lambda *gap: gaps.append(gap), epoch=4, n=10)
    assert detector.accept(4, 11)
    assert not detector.accept(3, 12)
    assert detector.accept(5, 1)
    assert not detector.accept(4, 12)
    assert gaps == []
    assert detector.accept(7, 3)
    assert gaps == [(7, 1, 2)]
    assert detector.accept(7, 2)
    assert not detector.accept(7, 2)


def test_snapshot_heals():
    detector = GapDetector(lambda *_gap: None)
    assert detector.accept(1, 5)
    assert detector.missing == ((1, 4),)
    detector.reset(1, 5)
    assert detector.missing == ()
    assert not detector.accept(1, 4)
    assert detector.accept(1, 6)


def test_gaps_are_bounded():
    detector = GapDetector(lambda *_gap: None)
    for n in range(2, 2 * MAX_GAPS + 200, 2):
        assert detector.accept(1, n)
    assert len(detector.missing) == MAX_GAPS
    assert not detector.accept(1, 1)  # forgotten: only a snapshot heals it
    assert detector.accept(1, 2 * MAX_GAPS + 101)


class Happened(Update, frozen=True, kw_only=True, tag="happened"):
    what: str


class Recorder:
    """Takes the outbox's place for what a writer adds."""

    def __init__(self):
        self.added = []

    def register(self, numbered):
        self.numbered = numbered

    def tell(self, stream, data):
        self.added.append((stream, data))


def test_writer_numbers_from_one_and_puts_the_header_first():
    outbox = Recorder()
    writer = UpdatesWriter(outbox, "pms:bus:risk:updates", epoch=9)
    writer.publish(Happened(epoch=0, n=0, what="a"))
    writer.add(Happened, what="b")
    assert outbox.added == [
        ("pms:bus:risk:updates", b'{"t":"happened","epoch":9,"n":1,"what":"a"}'),
        ("pms:bus:risk:updates", b'{"t":"happened","epoch":9,"n":2,"what":"b"}'),
    ]
    assert outbox.numbered is writer
    assert msgspec.json.decode(outbox.added[0][1], type=Happened).what == "a"


def test_writer_names_a_missing_field():
    writer = UpdatesWriter(Recorder(), "s", epoch=1)
    with pytest.raises(TypeError, match="what"):
        writer.add(Happened)
    assert writer.n == 0


def test_peek_reads_the_head_and_refuses_what_no_writer_wrote():
    data = msgspec.json.encode(
        RequestDone(epoch=7, n=12, account_id="a", request_id="r", command="c", body=msgspec.Raw(b"{}"))
    )
    assert peek(data) == (b"done", 7, 12)
    for garbage in (
        b"",
        b"{}",
        b'{"t":"done","n":1,"epoch":2,"x":3}',
        b'["t",1,2,3]',
        b'{"t":"done","epoch":x,"n":1,"a":1}',
    ):
        with pytest.raises(Malformed):
            peek(garbage)
