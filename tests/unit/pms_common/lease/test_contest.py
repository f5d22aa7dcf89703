"""When a lease may be taken, and from when its taker may act."""

from dataclasses import replace

import pytest

from pms_common.lease.belief import TTL_S
from pms_common.lease.contest import RELEASED, UNSEEN_S, Contest, Look, Record

FENCE_S = 1.2
HELD = Record(holder="other", until_ms=101_500, redis="r1")


def look(answered_s: float, record: Record | None = HELD, *, redis: str = "r1", dead: bool = False) -> Look:
    """By a Redis whose clock is 90 s before ours."""
    return Look(record, round((answered_s + 90) * 1000), redis, answered_s, dead)


def act_from_s(contest: Contest, look: Look, *, later_s: float = 0.0) -> float:
    return contest.act_from_s(look, look.answered_s + later_s)


def test_no_record_is_taken_at_once_and_acted_on_when_no_lost_holder_can_act_any_more() -> None:
    contest, first = Contest(FENCE_S), look(10.0, None)
    assert contest.over(first) and act_from_s(contest, first) == 10.0 + TTL_S + FENCE_S


def test_no_record_is_acted_on_at_once_where_epochs_fence() -> None:
    contest, first = Contest(0.0), look(10.0, None)
    assert contest.over(first) and act_from_s(contest, first) == 10.0


def test_a_lease_given_back_is_taken_at_once_and_acted_on_unless_something_is_under_way() -> None:
    for holder, waits_s in (("", 0.0), (RELEASED + "other", FENCE_S)):
        contest, first = Contest(FENCE_S), look(10.0, replace(HELD, holder=holder))
        assert contest.over(first) and act_from_s(contest, first) == 10.0 + waits_s


def test_a_dead_holder_is_followed_at_once_but_its_last_request_is_waited_for() -> None:
    contest, first = Contest(FENCE_S), look(10.0, dead=True)
    assert contest.over(first) and act_from_s(contest, first) == 10.0 + FENCE_S


def test_who_comes_after_a_crash_waits_for_the_end_that_redis_wrote() -> None:
    contest = Contest(FENCE_S)
    assert not contest.over(look(11.0))
    last = look(11.501)
    assert contest.over(last) and act_from_s(contest, last) == pytest.approx(11.5 + FENCE_S)


def test_who_comes_long_after_a_crash_acts_at_once() -> None:
    contest, first = Contest(FENCE_S), look(60.0)
    assert contest.over(first) and act_from_s(contest, first) < 60.0


def test_who_saw_a_renewal_trusts_its_own_clock_only() -> None:
    contest = Contest(FENCE_S)
    contest.over(look(9.0, replace(HELD, until_ms=100_000)))
    contest.over(look(10.0))
    stepped = Look(HELD, 999_999_999, "r1", 10.1)  # the clock of Redis has been stepped
    assert not contest.over(stepped)
    end = replace(stepped, answered_s=10.0 + TTL_S)
    assert contest.over(end) and act_from_s(contest, end) == pytest.approx(10.0 + TTL_S + FENCE_S)


def test_the_end_written_by_another_redis_is_not_trusted() -> None:
    contest = Contest(FENCE_S)
    assert not contest.over(look(60.0, redis="r2"))
    last = look(60.0 + TTL_S, redis="r2")
    assert contest.over(last) and act_from_s(contest, last) == pytest.approx(60.0 + TTL_S + FENCE_S)


def test_what_redis_has_lost_may_have_been_renewed_until_the_taking() -> None:
    contest, first = Contest(FENCE_S), look(10.0, None)
    assert contest.over(first)
    assert act_from_s(contest, first, later_s=2.4) == pytest.approx(12.4 + TTL_S + FENCE_S)


@pytest.mark.parametrize(
    ("then", "taken_s"), [(look(12.0, None), 13.5), (look(12.0, redis="r2"), 12.0)], ids=["lost", "set back"]
)
def test_a_record_that_was_lost_or_set_back_may_have_been_renewed_a_moment_before(then: Look, taken_s: float) -> None:
    contest = Contest(FENCE_S)
    contest.over(look(10.0, replace(HELD, until_ms=100_000)))
    contest.over(look(11.0))
    assert not contest.over(then)
    assert not contest.over(replace(then, answered_s=12.9))
    last = replace(then, answered_s=12.0 + TTL_S)
    assert contest.over(last) and act_from_s(contest, last) == pytest.approx(taken_s + TTL_S + FENCE_S)


@pytest.mark.parametrize(
    ("record", "dead"),
    [(replace(HELD, holder=""), False), (replace(HELD, holder=RELEASED + "other"), False), (HELD, True)],
    ids=["idle", "released", "dead"],
)
def test_an_end_that_another_redis_wrote_may_hide_a_successor(record: Record, dead: bool) -> None:
    contest, first = Contest(FENCE_S), look(60.0, record, redis="r2", dead=dead)
    assert not contest.over(first)
    last = replace(first, answered_s=60.0 + TTL_S)
    assert contest.over(last) and act_from_s(contest, last) == pytest.approx(60.0 + TTL_S + FENCE_S)


def test_who_did_not_look_for_a_while_cannot_say_that_there_was_no_record_all_the_time() -> None:
    contest = Contest(FENCE_S)
    contest.over(look(10.0))
    assert not contest.over(look(10.1, None))
    assert not contest.over(look(11.7, None))
    assert contest.over(look(11.7 + UNSEEN_S, None)) is False
    assert contest.over(look(11.7 + TTL_S, None))
