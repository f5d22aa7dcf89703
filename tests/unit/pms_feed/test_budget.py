"""The feed's share of the REST weight."""

from hypothesis import given
from hypothesis import strategies as st

from pms_common.rate.window import Window
from pms_feed.domain.budget import ADDRESS_SHARE, BURST, SHORTEST_BAN_MS, WEIGHT_PER_MINUTE, WeightBudget, ban_ms

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


def test_r25_a_ban_lasts_as_the_venue_says_and_else_as_long_as_its_shortest() -> None:
    venue_ms = 1_700_000_000_000
    text = b"Way too many requests; IP(1.2.3.4) banned until 1700000300000. Please use the websocket"
    for status, after, body, wait_ms in (
        (200, "", b"", 0),
        (500, "7", text, 0),
        (418, "7", b"", 7_000),
        (418, "7", text, 300_000),
        (418, "900", text, 900_000),
        (418, "", b"<html>", SHORTEST_BAN_MS[418]),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", b"", SHORTEST_BAN_MS[429]),
    ):
        assert ban_ms(status, after, body, venue_ms) == wait_ms
    assert ban_ms(418, "", text, venue_ms + 400_000) == SHORTEST_BAN_MS[418]  # it is in force: our clock is ahead


def test_r25_what_others_on_the_address_have_used_holds_the_feed_back() -> None:
    address = Window(60_000, 2_400)
    budget = WeightBudget(address)
    address.take(T, int(2_400 * ADDRESS_SHARE) - 20)
    assert budget.take(20, T) == 0
    assert budget.take(1, T) > 0
    assert budget.take(20, T + 63_001) == 0
