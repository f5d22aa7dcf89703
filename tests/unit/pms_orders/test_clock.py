"""R-24: the venue's time, whatever this machine's clocks do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common import metrics
from pms_orders.adapters.binance.clock import MAX_AGE_S, VenueClock

START_S = 1_000.0


class Venue:
    """A venue whose clock is off by `skew_ms`, and a way to it."""

    def __init__(self, skew_ms: int, trips_ms: list[tuple[int, int]]) -> None:
        self.now_s = START_S
        self.skew_ms = skew_ms
        self._trips = trips_ms
        self.asked = 0

    @property
    def time_ms(self) -> float:
        return self.now_s * 1_000 + 1_700_000_000_000 + self.skew_ms

    async def tell(self) -> int:
        there, back = self._trips[self.asked % len(self._trips)]
        self.asked += 1
        self.now_s += there / 1_000
        told = int(self.time_ms)
        self.now_s += back / 1_000
        return told


@pytest.mark.parametrize("skew_ms", [-5_000, -1, 0, 1, 5_000, 3_600_000])
async def test_r24_a_skewed_clock_is_known_within_the_shortest_round_trip(skew_ms: int) -> None:
    venue = Venue(skew_ms, [(300, 10), (20, 20), (5, 400), (3, 4), (50, 50)])
    clock = VenueClock(lambda: venue.now_s)
    await clock.measure(venue.tell)
    assert abs(clock.now_ms() - venue.time_ms) <= clock.uncertainty_ms + 1 <= 5


async def test_r24_a_step_is_gone_with_the_next_measurement() -> None:
    venue = Venue(0, [(3, 3)])
    clock = VenueClock(lambda: venue.now_s)
    await clock.measure(venue.tell)
    for step_ms in (5_000, -10_000):
        venue.skew_ms += step_ms
        assert abs(clock.now_ms() - venue.time_ms) >= 4_999
        await clock.measure(venue.tell)
        assert abs(clock.now_ms() - venue.time_ms) <= 4


async def test_an_old_measurement_is_no_knowledge() -> None:
    venue = Venue(0, [(3, 3)])
    clock = VenueClock(lambda: venue.now_s)
    assert not clock.known and clock.told_ms() is None
    with pytest.raises(RuntimeError):
        clock.now_ms()
    await clock.measure(venue.tell)
    assert clock.known and clock.told_ms() == clock.now_ms()
    venue.now_s += MAX_AGE_S
    assert not clock.known


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=5, max_size=5), st.integers(-5_000, 5_000)
)
async def test_r24_the_error_is_never_more_than_half_the_shortest_round_trip(
    trips: list[tuple[int, int]], skew_ms: int
) -> None:
    venue = Venue(skew_ms, trips)
    clock = VenueClock(lambda: venue.now_s)
    await clock.measure(venue.tell)
    assert abs(clock.now_ms() - venue.time_ms) <= min(sum(trip) for trip in trips) / 2 + 2


async def test_r24_a_request_bears_the_last_instant_at_which_this_process_might_send() -> None:
    venue, may = Venue(0, [(0, 0)]), [True]
    clock = VenueClock(lambda: venue.now_s)
    clock.may_send = lambda: may[0]
    await clock.measure(venue.tell)
    stamped = clock.stamp_ms()
    assert stamped == clock.now_ms()
    may[0] = False
    venue.now_s += 60
    assert clock.stamp_ms() == stamped  # what is sent now the venue refuses: its recvWindow has passed
    may[0] = True
    assert clock.stamp_ms() == clock.now_ms() == stamped + 60_000


@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), min_size=5, max_size=5), st.integers(-5_000, 5_000)
)
async def test_r24_no_request_bears_a_time_that_has_not_come_however_slow_the_way_is(
    trips: list[tuple[int, int]], skew_ms: int
) -> None:
    """It would be accepted longer than a successor waits."""
    venue = Venue(skew_ms, trips)
    clock = VenueClock(lambda: venue.now_s)
    await clock.measure(venue.tell)
    assert venue.time_ms - 2 * clock.uncertainty_ms - 2 <= clock.stamp_ms() < venue.time_ms + 1


async def test_the_offset_is_told_against_the_clock_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Venue(250, [(0, 0)])
    monkeypatch.setattr("time.time", lambda: venue.now_s + 1_700_000_000)
    await VenueClock(lambda: venue.now_s).measure(venue.tell)
    assert metrics.value("clock_offset_seconds") == pytest.approx(0.25, abs=0.002)
