"""Leases, places and control messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_feed.domain.subscriptions import (
    ANSWER_WITHIN_MS,
    MAX_OWNERS,
    MAX_SYMBOLS,
    MESSAGES_PER_SECOND,
    RETRY_REFUSED_MS,
    STREAMS_PER_CONNECTION,
    STREAMS_PER_MESSAGE,
    Control,
    LeaseRefused,
    Leases,
    Places,
)

T = 1_000_000


def test_a_later_lease_replaces_the_owners_earlier_one() -> None:
    leases = Leases(["BTCUSDT"])
    assert leases.put("risk", ["ETHUSDT"], T + 100, T)
    assert leases.put("algos", ["SOLUSDT", "ETHUSDT"], T + 200, T)
    assert leases.wanted() == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
    assert leases.put("risk", ["XRPUSDT"], T + 300, T)
    assert leases.wanted() == {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"}
    assert leases.end(T + 199) == []
    assert leases.end(T + 200) == ["algos"]
    assert leases.wanted() == {"BTCUSDT", "XRPUSDT"}


def test_a_lease_that_is_over_or_empty_ends_what_the_owner_had() -> None:
    leases = Leases([])
    for symbols, until_ms in ((["ETHUSDT"], T), ([], T + 100)):
        leases.put("risk", ["ETHUSDT"], T + 100, T)
        assert not leases.put("risk", symbols, until_ms, T)
        assert leases.wanted() == frozenset()


def test_leases_are_bounded() -> None:
    leases = Leases([])
    leases.put("greedy", [f"S{at}" for at in range(MAX_SYMBOLS)], T + 1, T)
    with pytest.raises(LeaseRefused, match="symbols"):
        leases.put("more", ["X"], T + 1, T)
    leases.end(T + 1)
    for at in range(MAX_OWNERS):
        leases.put(f"o{at}", ["X"], T + 100, T)
    with pytest.raises(LeaseRefused, match="owner"):
        leases.put("one more", ["X"], T + 100, T)
    assert leases.put("o1", ["Y"], T + 100, T)


@given(st.lists(st.sets(st.integers(0, 1500)), max_size=8), st.sampled_from([1, 2]))
def test_symbols_keep_their_places_and_connections_their_bound(wants: list[set[int]], streams: int) -> None:
    places = Places(streams)
    before: dict[str, int] = {}
    for want in wants:
        symbols = {f"S{n}" for n in want}
        places.assign(symbols)
        now = {symbol: at for at, held in enumerate(places.connections) for symbol in held}
        assert now.keys() == symbols
        assert sum(map(len, places.connections)) == len(symbols)
        assert all(len(held) * streams <= STREAMS_PER_CONNECTION for held in places.connections)
        assert all(now[symbol] == at for symbol, at in before.items() if symbol in symbols)
        before = now


@given(st.lists(st.tuples(st.sets(st.integers(0, 900)), st.integers(0, 700)), min_size=1, max_size=10))
def test_control_reaches_what_is_wanted_within_the_pace(steps: list[tuple[set[int], int]]) -> None:
    control, now = Control(), T
    actual: set[str] = set()
    sent: list[int] = []
    for want, pause in [*steps, (steps[-1][0], 60_000)]:
        control.wanted = frozenset(map(str, want))
        until = now + pause
        while now < until:
            while request := control.next(now):
                sent.append(now)
                assert len(request.streams) <= STREAMS_PER_MESSAGE
                change = actual.update if request.method == "SUBSCRIBE" else actual.difference_update
                change(request.streams)
                assert control.answered(request.id, True, now) is request
            now += 50
    assert actual == set(control.wanted)
    for at in sent:
        assert len([other for other in sent if at <= other < at + 1_000]) <= MESSAGES_PER_SECOND


def test_what_stands_is_not_asked_for_again() -> None:
    control = Control()
    control.wanted = frozenset({"a", "b"})
    assert control.next(T).streams == ("a", "b")  # type: ignore[union-attr]
    control.wanted = frozenset({"b", "c"})
    first, second = control.next(T), control.next(T)
    assert (first.method, first.streams) == ("SUBSCRIBE", ("c",))  # type: ignore[union-attr]
    assert (second.method, second.streams) == ("UNSUBSCRIBE", ("a",))  # type: ignore[union-attr]
    assert control.next(T) is None


def test_refused_streams_are_asked_for_again_later_and_late_answers_condemn_the_connection() -> None:
    control = Control()
    control.wanted = frozenset({"a"})
    request = control.next(T)
    assert request is not None
    assert not control.overdue(T + ANSWER_WITHIN_MS)
    assert control.overdue(T + ANSWER_WITHIN_MS + 1)
    control.answered(request.id, False, T)
    assert not control.overdue(T + ANSWER_WITHIN_MS + 1)
    assert control.next(T + RETRY_REFUSED_MS - 1) is None
    assert control.next(T + RETRY_REFUSED_MS).streams == ("a",)  # type: ignore[union-attr]
    assert control.answered(99, True, T) is None


def test_r26_streams_that_were_refused_and_are_wanted_no_longer_are_forgotten() -> None:
    control = Control()
    for at in range(50):
        control.wanted = frozenset({f"no{at}"})
        control.asked.clear()
        request = control.next(T + 1_000 * at)
        assert request is not None
        control.answered(request.id, False, T + 1_000 * at)
    assert control._refused_ms.keys() == {"no49"}


def test_a_silent_stream_is_ended_and_asked_for_anew() -> None:
    control = Control()
    control.wanted = frozenset({"a", "b"})
    control.next(T)
    assert control.renew("a", T).method == "UNSUBSCRIBE"  # type: ignore[union-attr]
    assert control.next(T).streams == ("a",)  # type: ignore[union-attr]


def test_all_that_is_wanted_is_settled_once_it_is_answered() -> None:
    control = Control()
    control.wanted = frozenset({"a", "b"})
    request = control.next(T)
    assert request is not None
    assert not control.settled(control.wanted)
    control.answered(request.id, True, T + 1)
    assert control.settled(control.wanted)
    assert not control.settled(frozenset({"a", "c"}))
