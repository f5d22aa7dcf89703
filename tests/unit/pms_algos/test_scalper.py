"""A scalper at work: its start, its legs and their shared budget, live orders, and what it tells."""

import json
from typing import Any

import pytest
from tests.unit.pms_algos.build import D
from tests.unit.pms_algos.life import NAMES
from tests.unit.pms_algos.scalper_steps import buys, fill, sells, started, state
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.venue import ACCOUNT
from tests.unit.pms_algos.world import World


def test_an_opening_layer_below_the_minimum_refuses_the_start_and_says_what_fits() -> None:
    result = started(longSizeUsd=20, childCount=5).result()
    assert result["errorCode"] == "SCALPER_LAYER_TOO_SMALL"
    assert result["details"]["minSizeUsd"] == pytest.approx(25)


def test_both_vocabularies_say_the_same() -> None:
    first = started().result()
    names = {"childCount": None, "longOffsetPct": None, "shortOffsetPct": None, "startSide": None}
    second = started(**names, side="BUY", layers=2, baseOffsetPct=0.2).result()
    same = ("startSide", "childCount", "longOffsetPct", "shortOffsetPct", "longSizeUsd", "longLayers")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}


def test_the_first_opening_execution_arms_the_closing_leg_with_the_position_as_its_budget() -> None:
    world = started(shortSizeUsd=200)
    assert (len(buys(world)), sells(world)) == (2, [])
    fill(world, buys(world)[0], "0.1")
    assert [world.orders[name].asked.quantity for name in sells(world)] == [D("0.1")]
    assert all(world.orders[name].asked.reduce_only for name in sells(world))
    reasons = [slot.pause for slot in state(world).short.slots]
    assert reasons == [None, "no_position"]
    fill(world, buys(world)[0])
    assert sum(world.orders[name].left for name in sells(world)) == world.positions["BTCUSDT"]


def test_a_layer_is_placed_again_after_its_fill_and_the_fill_is_told_with_its_leg() -> None:
    world = started()
    first, _ = buys(world)
    fill(world, first)
    assert len(buys(world)) == 2
    (told,) = world.told("scalper_filled")
    assert (told["side"], told["layerIdx"], told["fillQty"]) == ("LONG", 0, 0.499)
    slots = world.told("scalper_progress")[-1]
    assert {slot["leg"] for slot in slots["longSlots"]} == {"LONG"}
    assert {slot["leg"] for slot in slots["shortSlots"]} == {"SHORT"}
    assert slots["fillCount"] == 1


def test_in_neutral_mode_both_legs_open_and_both_restart() -> None:
    world = started(neutralMode=True)
    assert (len(buys(world)), len(sells(world))) == (2, 2)
    assert not any(order.asked.reduce_only for order in world.live)
    for side in (buys, sells):
        fill(world, side(world)[0])
        world.pass_ms(100)
    assert (len(buys(world)), len(sells(world))) == (2, 2)


def test_a_position_that_others_reduce_takes_back_what_closers_claim_beyond_it() -> None:
    world = started()
    fill(world, buys(world)[0])
    fill(world, buys(world)[0])
    world.pass_ms(100)
    assert len(sells(world)) == 2
    world.hold("0.6")
    world.pass_ms(100)
    assert sum(world.orders[name].left for name in sells(world)) <= D("0.6")
    world.hold("0")
    world.pass_ms(100)
    assert sells(world) == []
    assert {slot.pause for slot in state(world).short.slots} == {"no_position"}
    fill(world, buys(world)[0])
    assert sells(world) != [], "woken by the next opening fill"


def test_only_what_is_beyond_the_position_is_taken_back_the_farthest_layer_first() -> None:
    world = started(childCount=4)
    for name in buys(world):
        fill(world, name)
    world.pass_ms(2_000)
    before = sells(world)
    assert len(before) == 4
    world.hold(world.positions["BTCUSDT"] - D("0.001"))
    world.pass_ms(1_000)
    assert [name for name in before if name in sells(world)] == before[:3]
    assert sum(world.orders[name].left for name in sells(world)) == world.positions["BTCUSDT"]


def test_a_bound_acts_on_live_orders_and_lets_them_come_back() -> None:
    world = started(longMaxPrice=101)
    assert len(buys(world)) == 2
    world.quote("101.2", "101.3")
    assert buys(world) == []
    assert {slot.pause for slot in state(world).long.slots} == {"price_filter"}
    world.quote("100", "100.1")
    world.pass_ms(20_000)
    assert buys(world) == []
    world.pass_ms(12_000)
    assert len(buys(world)) == 2


def test_a_cancel_that_was_lost_is_repeated_while_the_other_layer_rests_quietly() -> None:
    world = started(childCount=1, neutralMode=True, longMaxPrice=101)
    world.pass_ms(10_000)
    world.cancels_lost = 1
    world.quote("102", "102.1")
    assert len(buys(world)) == 1
    world.pass_ms(6_000)
    assert (buys(world), len(sells(world))) == ([], 1)


def test_a_pin_acts_on_live_orders() -> None:
    world = started(pinShortToEntry=True)
    fill(world, buys(world)[0])
    assert len(sells(world)) == 1
    entry = world.entries["BTCUSDT"]
    world.quote(entry - D("0.5"), entry - D("0.4"))
    assert sells(world) == []
    assert state(world).short.slots[0].pause == "price_filter"


def test_refused_layers_are_tried_again_ever_later_and_a_success_forgets_that() -> None:
    world = World()
    world.refuse = lambda _: "INSUFFICIENT_MARGIN"
    started(world, childCount=1)
    waits = []
    for _ in range(4):
        slot = state(world).long.slots[0]
        waits.append(slot.retry_ms - world.loop.now_ms)
        world.pass_ms(waits[-1] + 10)
    assert [round(wait, -2) for wait in waits] == [2_000, 4_000, 8_000, 16_000]
    world.refuse = lambda _: None
    world.pass_ms(33_000)
    fill(world, buys(world)[0])
    assert state(world).long.slots[0].retries == 0


def test_readers_see_each_layers_order_as_a_chase_of_its_own_until_it_has_ended() -> None:
    world = World()
    world.crosses = False
    started(world, longOffsetPct=0.4)

    def lines() -> dict[str, Any]:
        shown = {name: json.loads(line) for name, line in world.hash[NAMES.algos(ACCOUNT)].items()}
        return {name: line for name, line in shown.items() if "chaseId" in line}

    scalper_id = sole(world)
    prices = {line["currentOrderPrice"] for line in lines().values()}
    assert prices == {float(world.orders[name].price) for name in world.resting}  # type: ignore[arg-type]
    assert {line["parentScalperId"] for line in lines().values()} == {scalper_id}
    world.quote("99", "99.1")
    world.pass_ms(200)
    moved = {line["currentOrderPrice"]: line["repriceCount"] for line in lines().values()}
    assert moved == {float(world.orders[name].price): 1 for name in world.resting}  # type: ignore[arg-type]
    told = world.told("chase_progress")
    assert {event["currentOrderPrice"] for event in told} >= prices | set(moved)
    before = set(lines())
    world.kill()
    assert set(lines()) == before
    fill(world, world.resting[0])
    (filled,) = world.told("chase_filled")
    assert (filled["parentScalperId"], filled["side"]) == (scalper_id, "BUY")
    assert filled["chaseId"] in before - set(lines())
    world.send("scalper_cancel", request_id="c", scalperId=scalper_id)
    assert world.hash[NAMES.algos(ACCOUNT)] == {}
    assert {event["reason"] for event in world.told("chase_cancelled")} == {"cancelled"}


def test_progress_is_told_on_change_and_else_once_a_second() -> None:
    world = started()
    before = len(world.told("scalper_progress"))
    for i in range(50):
        bid = D(100) + D(i % 5) / 10
        world.quote(bid, bid + D("0.1"))
        world.pass_ms(100)
    assert len(world.told("scalper_progress")) - before <= 6


@pytest.mark.parametrize("size", [0, 0.05])
def test_a_closing_leg_without_a_size_of_its_own_is_dust_and_is_not_scored(size: float) -> None:
    world = started(shortSizeUsd=size, pnlFeedbackMode="full", childCount=1)
    for _ in range(4):
        fill(world, buys(world)[0], "0.3")
        world.pass_ms(500)
        (name,) = sells(world)
        assert world.orders[name].left == world.positions["BTCUSDT"], "dust takes all that is left"
        fill(world, name)
        world.pass_ms(500)
    assert state(world).ending is None
    assert state(world).short.slots[0].fills == 4
