"""R-19: every algo survives kill -9 at any point: a test that enumerates the points, not a sample of them.

Each effect that outlives the process (a MULTI in Redis, a commit in PostgreSQL) is a point before and a point after it.
A scenario is run once for each of its points, killed there and started again; in the end no child was placed twice and
what the algo says of itself is what the venue has: Σ children + remainder = parent.
"""

import pytest
from tests.unit.pms_algos.ordered import ORDERED, WAITING
from tests.unit.pms_algos.scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("kind", SCENARIOS)
def test_r19_invariant_8_killed_at_every_effect_nothing_is_doubled_and_nothing_is_lost(kind: str) -> None:
    _killed_at_every_effect(SCENARIOS[kind])


@pytest.mark.parametrize("kind", ORDERED)
def test_r19_killed_at_every_effect_of_a_pause_a_resume_an_edit_and_a_cancel_each_is_done_once(kind: str) -> None:
    _killed_at_every_effect(ORDERED[kind])


def test_r19_killed_while_it_waits_for_its_first_price_it_begins_once() -> None:
    _killed_at_every_effect(WAITING, least=10)


def _killed_at_every_effect(scenario: Scenario, least: int = 30) -> None:
    points = scenario.run().effects
    assert points > least
    for point in range(points):
        try:
            world = scenario.run(point)
        except AssertionError as error:
            raise AssertionError(f"killed at effect {point} of {points}: {error}") from error
        assert world.kills == 1
