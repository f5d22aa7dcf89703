"""The hastened clock: its speed, its slowing without a jump, and that forked processes live by the same one."""

import os

from tests.faults import haste


def _seconds(clock: haste.Clock, real_s: float) -> float:
    """Hastened seconds in so many real ones, whatever else the machine does."""
    began_s, real_began_s = clock.monotonic_s(), haste.real_monotonic()
    while haste.real_monotonic() < real_began_s + real_s:
        pass
    return (clock.monotonic_s() - began_s) / (haste.real_monotonic() - real_began_s)


def test_it_runs_at_its_speed_and_at_the_real_one_once_slowed() -> None:
    clock = haste.Clock()
    clock.begin(10.0)
    assert 9.5 < _seconds(clock, 0.02) < 10.5
    clock.slow()
    assert 0.95 < _seconds(clock, 0.02) < 1.05


def test_neither_time_jumps_when_it_is_slowed() -> None:
    clock = haste.Clock()
    clock.begin(1_000.0)
    before = clock.monotonic_s(), clock.wall_s()
    clock.slow()
    after = clock.monotonic_s(), clock.wall_s()
    assert all(0 <= now - then < 100 for then, now in zip(before, after, strict=True))
    lead_s = [wall - monotonic for monotonic, wall in (before, after)]
    assert abs(lead_s[1] - lead_s[0]) < 1


def test_a_forked_process_lives_by_the_same_clock() -> None:
    clock = haste.Clock()
    clock.begin(10.0)
    told, tells = os.pipe()
    waits, goes_on = os.pipe()
    if os.fork() == 0:
        os.read(waits, 1)
        os.write(tells, str(clock.speed).encode())
        os._exit(0)
    clock.slow()
    os.write(goes_on, b"!")
    assert os.read(told, 10) == b"1.0"
    os.wait()
