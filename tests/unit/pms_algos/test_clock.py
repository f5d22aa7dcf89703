"""Steps of the wall clock: they move nothing that is under way, and make no price look alive."""

from typing import Any

import msgspec
import pytest
from tests.unit.pms_algos.build import D, spec
from tests.unit.pms_algos.life import START_MS
from tests.unit.pms_algos.scenarios import SCENARIOS, Scenario, sole
from tests.unit.pms_algos.world import World

from pms_algos.app.clock import Clock
from pms_algos.app.kinds import KINDS
from pms_algos.app.markets import Markets
from pms_algos.domain.times import is_point, later
from pms_common.contracts.bus.common import Tick

HOUR_MS = 3_600_000
DURATIONS = {
    *("ChasePlan.min_interval_ms", "TwapPlan.interval_ms", "TwapPlan.duration_ms", "Slot.held_ms"),
    *("ScalperPlan.fill_decay_half_life_ms", "ScalperPlan.min_refill_delay_ms"),
}


def _trace(scenario: Scenario, step_at: int, by_ms: int) -> tuple[list[tuple[Any, ...]], list[int]]:
    """All orders of a run in which the wall clock is set before one of its steps; and when they came."""
    world = World(symbols=scenario.symbols)
    for number, step in enumerate(scenario.steps):
        if number == step_at:
            world.ahead_ms += by_ms
        step(world)
    scenario.truth(world)
    orders = [
        (name, order.asked.quantity, order.asked.price, order.price, order.executed, order.state)
        for name, order in world.orders.items()
    ]
    return orders, [world.asked_ms[name] for name in world.orders]


@pytest.mark.parametrize("by_ms", [-HOUR_MS, HOUR_MS])
@pytest.mark.parametrize("kind", SCENARIOS)
def test_a_step_of_the_wall_clock_changes_no_order_and_no_moment(kind: str, by_ms: int) -> None:
    scenario = SCENARIOS[kind]
    undisturbed, moments = _trace(scenario, -1, 0)
    wait_ms = (
        1_000 if by_ms > 0 else 0
    )  # after what may have been a suspension, until the feed has confirmed its prices
    for at in range(2, len(scenario.steps), 3):
        orders, at_ms = _trace(scenario, at, by_ms)
        assert orders == undisturbed, f"set before step {at}"
        assert all(0 <= now - then <= wait_ms for now, then in zip(at_ms, moments, strict=True)), (
            f"set before step {at}"
        )


def test_what_was_saved_before_the_clock_was_set_is_saved_anew_in_utc() -> None:
    world = World()
    world.pass_ms(10)
    world.send("twap", symbol="BTCUSDT", side="BUY", quantity=1, lots=4, durationMinutes=4, leverage=5)
    world.pass_ms(100)
    world.ahead_ms -= HOUR_MS
    world.pass_ms(2_000)
    twap = world.state(sole(world))
    assert [lot.due_ms - START_MS for lot in twap.plan.lots] == [10 + n * 60_000 - HOUR_MS for n in range(4)]
    world.kill()
    world.pass_ms(240_000)
    assert world.state(sole(world)).outcome == "filled"
    assert world.executed == 1


def test_a_dead_feeds_price_does_not_come_to_life_again() -> None:
    markets, now = Markets(), START_MS
    markets.specs["BTCUSDT"] = spec()
    markets.tick(_tick(now), now)
    for by_ms in (-HOUR_MS, HOUR_MS, -HOUR_MS):
        now += by_ms + 3_001
        markets.stepped(by_ms)
        assert markets.ungated("BTCUSDT", now) is None
    markets.tick(_tick(now + HOUR_MS), now)  # by a feed whose clock is not set yet
    assert markets.ungated("BTCUSDT", now + 3_000) is not None
    assert markets.ungated("BTCUSDT", now + 3_001) is None


def test_steps_are_told_before_the_new_time_and_what_is_less_is_none() -> None:
    wall_ms, ages_ms, told = 1_000, 50, []
    clock = Clock(lambda: wall_ms, lambda: ages_ms)
    clock.on_step = told.append
    times = [(1_500, 550), (1_599, 550), (600, 551), (HOUR_MS, 552), (HOUR_MS + 10, 562)]
    for wall_ms, ages_ms in times:  # noqa: B007 (the clock reads both)
        assert clock.now_ms() == wall_ms
    assert told == [-901, HOUR_MS - 601]


def test_each_time_of_a_state_is_a_point_or_a_duration() -> None:
    seen = set()
    for kind in KINDS.values():
        for struct in _structs(kind.state):
            for field in msgspec.structs.fields(struct):
                if field.name.endswith(("_ms", "_times")):
                    name = f"{struct.__name__}.{field.name}"
                    assert is_point(field.type) is (name not in DURATIONS), name
                    seen.add(name)
    assert seen > DURATIONS


def _structs(annotation: Any) -> set[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        inner = (_structs(field.type) for field in msgspec.structs.fields(annotation))
        return {annotation}.union(*inner)
    return set().union(*map(_structs, getattr(annotation, "__args__", ())))


def test_points_of_time_move_and_nothing_else_does() -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send("chase", symbol="BTCUSDT", side="BUY", quantity=1, leverage=5)
    chase = world.state(sole(world))
    moved = later(chase, HOUR_MS)
    assert moved.plan.started_ms == chase.plan.started_ms + HOUR_MS
    assert (moved.retry_ms, moved.plan.min_interval_ms, moved.plan.quantity) == (0, 100, D(1))
    assert later(moved, -HOUR_MS) == chase


def _tick(ts_ms: int) -> Tick:
    return Tick("BTCUSDT", 100.0, 1.0, 100.1, 1.0, ts_ms, 0, 0, ts_ms, ts_ms)
