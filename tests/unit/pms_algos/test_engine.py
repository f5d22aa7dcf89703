"""The engine around all kinds: what ends them from outside."""

from typing import Any

import pytest
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.world import World

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 5}
TWAP = {**CHASE, "lots": 4, "durationMinutes": 1}
SCALPER = {"symbol": "BTCUSDT", "startSide": "LONG", "childCount": 2, "longSizeUsd": 100, "leverage": 5}


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize(("kind", "body"), [("chase", CHASE), ("twap", TWAP), ("scalper", SCALPER)])
def test_a_cancel_of_all_with_algos_ends_them_and_nothing_is_placed_again(
    kind: str, body: dict[str, Any], down: bool
) -> None:
    world = World()
    world.pass_ms(10)
    world.send(kind, **body)
    names = set(world.orders)
    assert world.resting
    if down:  # asked while nobody reads; their orders end unheard
        world.control("stop", symbol="BTCUSDT", reason="cancelled", unread=True)
        for order in world.live:
            order.state = "cancelled"
        world.kill()
    else:
        world.control("stop", symbol="BTCUSDT", reason="cancelled")
    world.pass_ms(60_000)
    assert (set(world.orders), world.live) == (names, [])
    assert world.state(sole(world)).outcome == "cancelled"
    assert [event["reason"] for event in world.told(f"{kind}_cancelled")] == ["cancelled"]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_replacement_of_one_that_waits_waits_for_the_first(restarts: bool) -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send("chase", "a", **CHASE)
    (first,) = world.table
    world.cancels_lost = 1  # its end takes its time
    world.send("chase", "b", replacesId=first, **CHASE)
    (second,) = set(world.table) - {first}
    world.send("chase", "c", replacesId=second, **CHASE)
    if restarts:
        world.cancels_lost = 1
        world.kill()
    assert (len(world.orders), len(world.live)) == (1, 1)
    assert [world.state(name).outcome for name in (first, second)] == [None, "cancelled"]
    world.pass_ms(6_000)
    assert (len(world.orders), len(world.live)) == (2, 1)


@pytest.mark.parametrize(("kind", "state"), [("grid", "{}"), ("chase", '{"plan": {}}'), ("chase", "{")])
def test_an_algo_that_cannot_be_read_holds_up_no_other_and_keeps_its_order(kind: str, state: str) -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    for name in ("a", "b"):
        world.send("chase", name, **CHASE)
    foreign, mine = world.table
    row = world.table[foreign]
    world.table[foreign] = (row[0], kind, *row[2:6], state)
    world.table["over"] = ("over", kind, *row[2:5], "cancelled", state)
    world.kill()
    world.pass_ms(20_000)
    assert len(world.live) == 2
    world.send("chase_cancel", "c", chaseId=mine)
    assert [order.asked.parent_id for order in world.live] == [foreign]


def test_two_changes_that_prices_bring_within_a_second_are_both_told() -> None:
    world = World()
    world.hold("1")
    world.pass_ms(1_010 - world.loop.now_ms % 1_000)
    position = world.position_ids["BTCUSDT"]
    world.refuse = lambda _: "INFRA_OVERLOADED"
    world.send("trail_stop", positionId=position, callbackPct=1, activationPrice=101)
    before = len(world.told("trail_stop_progress"))
    world.quote("102", "102.1")  # activates it
    world.quote("100", "100.1")  # fires it
    assert len(world.told("trail_stop_progress")) == before + 2
