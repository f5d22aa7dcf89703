"""What a holder believes of its lease, at every instant."""

import pytest

from pms_common.lease.belief import DRIFT_S, TTL_S, Belief, Instant

FENCE_S = 1.2


def at(monotonic_s: float, wall_s: float | None = None) -> Instant:
    return Instant(monotonic_s, 1_000.0 + monotonic_s if wall_s is None else wall_s)


@pytest.fixture
def belief() -> Belief:
    made = Belief(FENCE_S)
    made.taken(at(10.0), "redis-1", act_from_s=10.0)
    return made


def test_a_confirmation_counts_from_when_it_was_asked_for(belief: Belief) -> None:
    assert belief.acts(at(10.0 + TTL_S - DRIFT_S - 0.001))
    assert not belief.acts(at(10.0 + TTL_S - DRIFT_S))
    belief.confirmed(at(10.3), "redis-1", at(11.0))
    assert belief.acts(at(11.7)) and not belief.acts(at(11.8))


def test_the_first_ever_waits_for_nobody_whom_redis_may_have_forgotten() -> None:
    belief = Belief(FENCE_S)
    belief.taken(at(10.0), "redis-1", act_from_s=12.7, alone=True)
    assert not belief.acts(at(10.0))
    belief.first_ever()
    assert belief.acts(at(10.0))


def test_a_new_database_does_not_spare_the_wait_for_a_predecessor_who_was_seen() -> None:
    belief = Belief(FENCE_S)
    belief.taken(at(10.0), "redis-1", act_from_s=11.2)
    belief.first_ever()
    assert not belief.acts(at(11.1)) and belief.acts(at(11.2))


def test_nor_the_wait_for_one_who_may_have_had_the_lease_before_the_epoch_was_taken() -> None:
    belief = Belief(FENCE_S)
    belief.taken(at(10.0), "redis-1", act_from_s=12.7, alone=True)
    belief.confirmed(at(20.0), "redis-1", at(20.0), renewed=False)
    belief.first_ever()
    assert not belief.acts(at(20.1))


def test_a_paused_process_believes_nothing_when_it_goes_on(belief: Belief) -> None:
    assert not belief.holds(at(10.0 + 60))


def test_a_suspended_machine_whose_monotonic_clock_stood_still_believes_nothing(belief: Belief) -> None:
    assert not belief.holds(at(10.1, wall_s=1_010.0 + 60))


@pytest.mark.parametrize("step_s", [-3600.0, -0.2, 3.0, 3600.0])
def test_a_step_of_the_wall_clock_ends_the_belief_until_the_next_confirmation(belief: Belief, step_s: float) -> None:
    stepped = at(10.1, wall_s=1_010.1 + step_s)
    assert not belief.holds(stepped)
    belief.confirmed(stepped, "redis-1", stepped)
    assert belief.acts(at(10.2, wall_s=1_010.2 + step_s))


def test_a_lapsed_holder_goes_on_at_once_where_the_same_redis_says_that_nobody_took_it(belief: Belief) -> None:
    belief.confirmed(at(20.0), "redis-1", at(20.0))
    assert belief.acts(at(20.0))


@pytest.mark.parametrize(("redis", "renewed"), [("redis-2", True), ("redis-1", False)])
def test_a_lapsed_holder_waits_where_redis_may_have_forgotten_another(
    belief: Belief, redis: str, renewed: bool
) -> None:
    belief.confirmed(at(20.0), redis, at(20.0), renewed=renewed)
    belief.confirmed(at(21.4), redis, at(21.4))
    belief.confirmed(at(22.6), redis, at(22.6))
    assert belief.holds(at(22.65)) and not belief.acts(at(22.65))
    assert belief.acts(at(20.0 + TTL_S + FENCE_S + 0.01))


@pytest.mark.parametrize(("redis", "renewed"), [("redis-2", True), ("redis-1", False)])
def test_a_holder_that_believed_all_the_time_goes_on(belief: Belief, redis: str, renewed: bool) -> None:
    belief.confirmed(at(10.5), redis, at(10.5), renewed=renewed)
    assert belief.acts(at(10.5))


def test_it_acts_only_when_nothing_of_its_predecessor_can_happen() -> None:
    belief = Belief(FENCE_S)
    belief.taken(at(10.0), "redis-1", act_from_s=11.0)
    assert belief.holds(at(10.9)) and not belief.acts(at(10.9)) and belief.waits_s(at(10.9)) == pytest.approx(0.1)
    assert belief.acts(at(11.0))


def test_a_lease_that_ended_is_not_held(belief: Belief) -> None:
    belief.ended()
    assert not belief.holds(at(10.1))


def test_what_takes_longer_than_the_belief_lasts_is_not_begun(belief: Belief) -> None:
    assert belief.acts_for(at(10.6), 0.75) and not belief.acts_for(at(10.8), 0.75)
