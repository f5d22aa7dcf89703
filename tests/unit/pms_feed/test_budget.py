"""The feed's share of the REST weight."""

from hypothesis import given
from hypothesis import strategies as st

from pms_common.rate.window import Window
from pms_feed.domain.budget import ADDRESS_SHARE, BURST, WEIGHT_PER_MINUTE, WeightBudget

T = 1_000_000_000


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 30_000)), max_size=60))
def test_no_minute_takes_more_than_the_share_and_the_burst(steps: list[tuple[int, int]]) -> None:
    budget, now, taken = WeightBudget(Window(60_000, 2_400)), T, []
    for weight, pause in steps:
        now += pause
        if budget.take(weight, now) == 0:
            taken.append((now, weight))
    for at, _ in taken:
        assert sum(weight for time, weight in taken if at <= time < at + 60_000) <= WEIGHT_PER_MINUTE + BURST


def test_the_wait_it_names_is_enough() -> None:
    budget = WeightBudget(Window(60_000, 2_400))
    while budget.take(20, T) == 0:
        pass
    wait_ms = budget.take(20, T)
    assert budget.take(20, T + wait_ms - 100) > 0
    assert budget.take(20, T + wait_ms) == 0


def test_a_ban_is_waited_out() -> None:
    budget = WeightBudget(Window(60_000, 2_400))
    budget.block(T + 5_000)
    budget.block(T + 1_000)
    assert budget.take(1, T) == 5_000
    assert budget.take(1, T + 5_000) == 0


def test_r25_what_others_on_the_address_have_used_holds_the_feed_back() -> None:
    address = Window(60_000, 2_400)
    budget = WeightBudget(address)
    address.take(T, int(2_400 * ADDRESS_SHARE) - 20)
    assert budget.take(20, T) == 0
    assert budget.take(1, T) > 0
    assert budget.take(20, T + 63_001) == 0
