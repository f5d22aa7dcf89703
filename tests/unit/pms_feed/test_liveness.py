"""Silence against what the market does elsewhere."""

from pms_feed.domain.liveness import ALIVE_LIMIT_MS, PROBE_AFTER_MS, SILENT_MS, TRUST_MS, Liveness, Silence, tick_state

T = 1_000_000


def test_frames_vouch_and_a_living_connection_vouches_for_a_while() -> None:
    liveness = Liveness()
    assert liveness.look(T, T) == T
    assert liveness.look(T, T + 1_000) == T + 1_000
    assert liveness.look(T, T + TRUST_MS + 5_000) == T + TRUST_MS


def test_nothing_vouches_without_frames_or_connection() -> None:
    liveness = Liveness()
    assert liveness.look(0, T) == 0
    assert liveness.look(T, 0) == T
    assert tick_state(T + ALIVE_LIMIT_MS + 1, liveness.alive_ms, halted=False, confirmable=False) == "resyncing"


def test_an_equal_rest_quote_extends_and_a_different_one_ends_the_trust() -> None:
    liveness = Liveness()
    liveness.look(T, T)
    assert liveness.wants_probe(T + PROBE_AFTER_MS + 1, T)
    liveness.compared(T + 3_000, True)
    assert not liveness.wants_probe(T + 3_100, T)
    assert liveness.look(T, T + 8_000) == T + 8_000
    liveness.compared(T + 8_500, False)
    assert liveness.look(T, T + 9_000) == T + 8_000
    assert tick_state(T + 11_001, liveness.alive_ms, halted=False, confirmable=True) == "stale"
    assert liveness.look(T + 12_000, T + 11_500) == T + 12_000  # the stream speaks again


def test_aliveness_never_goes_back() -> None:
    liveness = Liveness()
    liveness.look(T, T + 500)
    assert liveness.look(T, 0) == T + 500


def test_a_stream_that_answers_no_move_of_the_market_is_dead_and_one_in_a_quiet_market_is_not() -> None:
    silence = Silence()
    assert not silence.dead(T + 60_000, T, T)
    assert not silence.dead(T + 60_000, T, T + 60_000)
    assert not silence.dead(T + 60_000 + SILENT_MS, T, T + 60_100)
    assert silence.dead(T + 60_001 + SILENT_MS, T, T + 60_100)
    assert not silence.dead(T + 60_100 + SILENT_MS, T, T + 60_100)  # told once, again after the same time
    assert silence.dead(T + 60_010 + 2 * SILENT_MS, T, T + 60_100)


def test_a_stream_that_speaks_late_but_speaks_is_alive() -> None:
    silence = Silence()
    for at in range(T, T + 60_000, 100):
        assert not silence.dead(at, at - 150, at - 1)


def test_state_tells_why_there_is_no_price() -> None:
    for halted, confirmable, age, state in (
        (True, True, 0, "halted"),
        (False, True, ALIVE_LIMIT_MS, "live"),
        (False, False, ALIVE_LIMIT_MS, "live"),
        (False, True, ALIVE_LIMIT_MS + 1, "stale"),
        (False, False, ALIVE_LIMIT_MS + 1, "resyncing"),
    ):
        assert tick_state(T + age, T, halted=halted, confirmable=confirmable) == state
