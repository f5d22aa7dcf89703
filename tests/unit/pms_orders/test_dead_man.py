"""Which countdowns are set, and which ends they explain."""

from hypothesis import given
from hypothesis import strategies as st

from pms_orders.domain.dead_man import Countdown, capacity, decide, explains

FOR_MS = 60_000
NOW_MS = 1_000_000


def test_it_arms_where_own_orders_rest_and_no_foreign_ones() -> None:
    own = {"BTCUSDT": 1, "ETHUSDT": 2}
    assert decide(own, {"ETHUSDT"}, {}, NOW_MS, FOR_MS) == [Countdown("BTCUSDT", FOR_MS)]


def test_it_sets_again_when_a_third_has_passed() -> None:
    own = {"BTCUSDT": 1}
    assert decide(own, set(), {"BTCUSDT": NOW_MS + 40_001}, NOW_MS, FOR_MS) == []
    assert decide(own, set(), {"BTCUSDT": NOW_MS + 40_000}, NOW_MS, FOR_MS) == [Countdown("BTCUSDT", FOR_MS)]


def test_it_disarms_where_no_order_is_left_or_a_foreign_one_came_but_not_what_has_run_out() -> None:
    armed = {"BTCUSDT": NOW_MS + 50_000, "ETHUSDT": NOW_MS + 50_000, "XRPUSDT": NOW_MS}
    assert decide({"ETHUSDT": 1}, {"ETHUSDT"}, armed, NOW_MS, FOR_MS) == [
        Countdown("BTCUSDT", 0),
        Countdown("ETHUSDT", 0),
    ]


def test_a_countdown_explains_ends_at_its_end_only() -> None:
    assert explains(NOW_MS, NOW_MS, NOW_MS) and explains(NOW_MS, NOW_MS, NOW_MS + 4_000)
    assert not explains(NOW_MS, NOW_MS, NOW_MS - 1_000) and not explains(NOW_MS, NOW_MS, NOW_MS + 60_000)
    assert explains(NOW_MS - 30_000, NOW_MS, NOW_MS - 20_000), "any of those that were asked for may have run"


symbols = st.text("ABCDEFGH", min_size=3, max_size=4)


@given(
    own=st.dictionaries(symbols, st.integers(1, 50), max_size=60),
    foreign=st.sets(symbols, max_size=20),
    armed=st.dictionaries(symbols, st.integers(NOW_MS - FOR_MS, NOW_MS + FOR_MS), max_size=60),
)
def test_every_armed_symbol_has_own_orders_and_no_foreign_ones_and_the_weight_is_kept(
    own: dict[str, int], foreign: set[str], armed: dict[str, int]
) -> None:
    decided = decide(own, foreign, armed, NOW_MS, FOR_MS)
    after = {symbol: until_ms for symbol, until_ms in armed.items() if until_ms > NOW_MS}
    for symbol, countdown_ms in decided:
        after.pop(symbol, None)
        if countdown_ms:
            after[symbol] = NOW_MS + countdown_ms
    assert len(after) <= capacity(FOR_MS) and not after.keys() & foreign and after.keys() <= own.keys()
    left = own.keys() - foreign - after.keys()
    assert not left or len(after) == capacity(FOR_MS)
    assert all(until_ms > NOW_MS + FOR_MS // 2 for until_ms in after.values())
