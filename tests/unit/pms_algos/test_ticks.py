"""What a price costs: whom it is shown to, and that looking over the others hides nothing."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_struct
from tests.unit.pms_algos.build import D, market, plan
from tests.unit.pms_algos.world import World

from pms_algos.app.kinds import KINDS
from pms_algos.domain.chase_quote import on_quote, unmoved
from pms_algos.domain.chase_state import Chase, Child
from pms_common.contracts.bus.common import Tick

T0 = 1_000_000
CHASES: tuple[dict[str, Any], ...] = (
    {"side": "BUY"},
    {"side": "SELL", "stalkOffsetPct": 0.2},
    {"side": "BUY", "stalkMode": "trail", "maxDistancePct": 1},
    {"side": "SELL", "stalkOffsetTicks": 2, "minIntervalMs": 0},
    {"side": "BUY", "postOnly": True},
)
quotes = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 3), st.sampled_from([0, 20, 60, 160, 900, 4_000])),
    min_size=5,
    max_size=40,
)


def _live_through(steps: list[tuple[int, int, int]]) -> tuple[Any, ...]:
    """All that a run of prices makes some chases do."""
    world, bid = World(), D(100)
    world.crosses = False
    for step, spread, ms in [(0, 1, 10), *steps]:
        bid += step * D("0.1")
        world.quote(bid, bid + spread * D("0.1"))
        world.pass_ms(ms)
        if not world.table:
            for number, changes in enumerate(CHASES):
                body = {"symbol": "BTCUSDT", "quantity": 1, "leverage": 5, **changes}
                world.send("chase", f"r{number}", **body)
    orders = [(name, order.price, order.state, order.version) for name, order in world.orders.items()]
    return orders, world.told("chase_progress"), world.told("chase_cancelled")


@settings(max_examples=40, deadline=None)
@given(quotes)
def test_looking_over_those_a_price_does_not_move_hides_no_action(steps: list[tuple[int, int, int]]) -> None:
    looked_over = 0

    def counted(*seen: Any) -> bool:
        nonlocal looked_over
        over = unmoved(*seen)
        looked_over += over
        return over

    def run(looking: Any) -> tuple[Any, ...]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(KINDS, "chase", replace(KINDS["chase"], unmoved=looking))
            return _live_through(steps)

    assert run(counted) == run(lambda *_: False)
    moves = sum(bool(step) for step, _, _ in steps)
    assert looked_over or moves < 3


LIVE = Chase(
    plan=plan(), child=Child(quantity=D(1), phase="live", price=D(100)), answered=True, progress_ms=T0, moved_ms=T0
)
HERE, UP, GONE = market("100", "100.1"), market("100.1", "100.2"), market("97", "97.1")


def test_a_chase_is_looked_over_where_it_rests_waits_for_its_interval_for_an_answer_or_a_flicker() -> None:
    assert unmoved(LIVE, HERE, T0 + 500)
    moved, (_,) = on_quote(LIVE, GONE, T0 + 200)
    assert unmoved(moved, HERE, T0 + 210), "its amend is on its way"
    held, _ = on_quote(LIVE, UP, T0 + 200)
    assert unmoved(held, UP, T0 + 300)
    waiting, _ = on_quote(LIVE, GONE, T0 + 50)
    assert unmoved(waiting, UP, T0 + 60)


def test_a_chase_is_not_looked_over_when_its_time_has_come() -> None:
    assert not unmoved(LIVE, GONE, T0 + 200)
    assert not unmoved(LIVE, HERE, T0 + 1_000), "progress is due"
    moved, (_,) = on_quote(LIVE, GONE, T0 + 200)
    assert not unmoved(replace_struct(moved, progress_ms=T0 + 2_000), UP, T0 + 2_200), "its amend is not answered"
    held, _ = on_quote(LIVE, UP, T0 + 200)
    assert not unmoved(held, UP, T0 + 350), "it has lasted"
    assert not unmoved(held, HERE, T0 + 300), "it was one"
    away = replace_struct(LIVE, plan=plan(max_distance_pct=D(2)))
    waiting, _ = on_quote(away, UP, T0 + 50)
    assert not unmoved(waiting, GONE, T0 + 60), "too far from its start"


def test_a_price_is_shown_to_those_first_whom_the_market_leaves() -> None:
    world = World()
    ticks = partial(world.life.markets.tick, now_ms=T0 + 9_000)
    prices = [("100", "100.1"), ("100.2", "100.3"), ("100.1", "100.2"), ("100.1", "100.3"), ("100", "100.3")]
    moved = [ticks(_tick(float(bid), float(ask), T0 + number)) for number, (bid, ask) in enumerate(prices)]
    assert moved[1:] == [("SELL", "BUY", None), ("BUY", "SELL", None), ("SELL", None), ("BUY", None)]
    assert ticks(_tick(100.0, 100.3, T0 + 10)) == ()
    assert ticks(_tick(100.0, 100.3, T0 + 4_000)) == ("BUY", "SELL", None), "it was none for a while"


@pytest.mark.parametrize(
    ("side", "quotes", "prices"),
    [
        # at a mark of 100.55 no order may be below 95.5225
        ("BUY", [("100", "100.2"), ("100", "101.1")], ["95.1", "95.1", "95.6"]),
        # at a mark of 99.55 no order may be above 104.5275
        ("SELL", [("99.9", "100.1"), ("99", "100.1")], ["105.0", "105.0", "104.5"]),
    ],
)
def test_a_bound_that_the_other_sides_quote_moves_is_followed_at_once(
    side: str, quotes: list[tuple[str, str]], prices: list[str]
) -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send("chase", symbol="BTCUSDT", side=side, quantity=1, leverage=5, stalkOffsetPct=4.9)
    world.pass_ms(1_500)
    (order,) = world.orders.values()
    seen = [order.price]
    for quote in quotes:
        world.quote(*quote)
        seen.append(order.price)
    assert seen == [D(price) for price in prices]


def _tick(bid: float, ask: float, ts_ms: int) -> Tick:
    return Tick("BTCUSDT", bid, 1.0, ask, 1.0, ts_ms, 0, 0, ts_ms, ts_ms)
