"""The sliding count: stricter than the venue's aligned windows, and what is reported is counted once."""

from hypothesis import given
from hypothesis import strategies as st

from pms_common.rate.window import Window

NOW = 1_700_000_000_000


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=200), st.integers(1, 20))
def test_no_aligned_window_is_ever_exceeded(pauses: list[int], limit: int) -> None:
    window = Window(10_000, limit)
    now, sent_at = NOW, []
    for pause in pauses:
        now += pause
        if window.room(now):
            window.take(now)
            sent_at.append(now)
    for start in {at - at % 10_000 for at in sent_at}:
        assert sum(start <= at < start + 10_000 for at in sent_at) <= limit


def test_room_comes_back_when_the_oldest_slice_is_forgotten() -> None:
    window = Window(10_000, 10)
    window.take(NOW, 10)
    assert not window.room(NOW) and not window.room(NOW + 10_000)
    assert window.room(window.next_room_ms(NOW) + 1) == 10


def test_what_is_not_reported_is_bounded() -> None:
    window = Window(60_000, 2_400, shared=True)
    assert window.room(NOW) == 120
    window.take(NOW, 120)
    assert window.room(NOW) == 0
    assert window.report() == 120
    window.confirm([(NOW, 120)])
    assert window.used == 120 and window.room(NOW) == 120


@given(st.lists(st.tuples(st.integers(0, 2_000), st.sampled_from(["take", "confirm", "lose"])), max_size=100))
def test_a_report_that_was_lost_is_made_again(steps: list[tuple[int, str]]) -> None:
    """Redis' sum is never below what was used, and after a report it is all that counts."""
    window, now, used, told = Window(3_600_000, 10**9, shared=True), NOW, 0, 0
    for pause, what in steps:
        now += pause
        if what == "take":
            window.take(now, 3)
            used += 3
        else:
            reported = window.report()
            if what == "confirm":
                told += reported
                window.confirm([(now, told)])
            else:
                window.unconfirmed()
        assert window.used == used


def test_used_elsewhere_is_counted_and_forgotten() -> None:
    window = Window(60_000, 100)
    window.report()
    window.confirm([(NOW - 30_000, 40), (NOW, 50)])
    assert window.room(NOW) == 10 and window.room(NOW + 36_001) == 50
    window.raise_to(NOW + 36_001, 80)
    assert window.room(NOW + 36_001) == 20


def test_while_nobody_takes_reports_the_share_alone_bounds() -> None:
    """What is unreported grows then, and would hold everything back for a minute."""
    window = Window(60_000, 2_400, shared=True)
    window.portion = 0.4
    for _ in range(8):
        assert window.room(NOW) >= 120
        window.take(NOW, 120)
        window.report()
        window.unconfirmed()
    assert window.room(NOW) == 0
