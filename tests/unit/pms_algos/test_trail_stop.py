"""The trailing stop's rules one by one: activation, extreme, trigger, size, retries, its position, pauses, crashes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pms_algos.build import D
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.venue import ACCOUNT, Order
from tests.unit.pms_algos.world import World

from pms_common.contracts.bus.risk import ChildOrder

POSITION = "pos_BTCUSDT_1"


def started(quantity: str = "1", **changes: Any) -> World:
    world = World()
    world.pass_ms(10)
    world.hold(quantity)
    world.send("trail_stop", **{"positionId": POSITION, "callbackPct": 1, **changes})
    assert world.result()["success"] is True, world.result()
    world.pass_ms(200)
    return world


def state(world: World) -> Any:
    return world.life.engine.algos.find(sole(world))[1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("quantity", "waits", "reaches", "trigger"),
    [("1", ("104.8", "104.9"), ("105.0", "105.1"), "103.9995"), ("-1", ("95.2", "95.3"), ("94.9", "95.0"), "95.8995")],
)
def test_the_trigger_is_computed_at_activation(
    quantity: str, waits: tuple[str, str], reaches: tuple[str, str], trigger: str
) -> None:
    world = started(quantity, activationPrice=105 if quantity == "1" else 95)
    assert world.result()["activated"] is False
    world.quote(*waits)
    assert state(world).extreme is None
    world.quote(*reaches)
    assert state(world).trigger == D(trigger)
    assert world.told("trail_stop_progress")[-1]["activated"] is True


def test_an_activation_price_that_is_reached_already_activates_at_once() -> None:
    result = started(activationPrice=99).result()
    assert (result["activated"], result["extremePrice"], result["currentPrice"]) == (True, 100.05, 100.05)


@pytest.mark.parametrize(
    ("quantity", "best", "holds", "fires", "side"),
    [
        ("1", ("110", "110.1"), ("108.9", "109.0"), ("108.8", "108.9"), "SELL"),
        ("-1", ("90", "90.1"), ("90.8", "90.9"), ("91.0", "91.1"), "BUY"),
    ],
)
def test_it_fires_at_its_way_back_from_the_best_with_the_position_as_it_is_then(
    quantity: str, best: tuple[str, str], holds: tuple[str, str], fires: tuple[str, str], side: str
) -> None:
    world = started(quantity)
    world.quote(*best)
    world.hold(D(quantity) * D("1.5"))
    world.quote(*holds)
    assert world.orders == {}
    world.quote(*fires)
    (order,) = world.orders.values()
    asked = order.asked
    assert (asked.order_type, asked.side, asked.quantity, asked.reduce_only) == ("MARKET", side, D("1.5"), True)
    assert (asked.origin, asked.parent_id) == ("TRAIL_STOP", sole(world))
    world.pass_ms(2_000)
    (event,) = world.told("trail_stop_triggered")
    assert event["closeSuccess"] is True
    assert world.table[sole(world)][5] == "filled"


def test_a_close_that_is_refused_is_told_and_tried_until_the_position_is_gone() -> None:
    world = started()
    world.refuse = lambda _: "REDUCE_ONLY_REJECTED"
    world.quote("98", "98.1")
    world.pass_ms(4_000)
    failed = world.told("trail_stop_triggered")
    assert len(failed) >= 3
    assert {(event["closeSuccess"], event["error"]) for event in failed} == {(False, "refused: REDUCE_ONLY_REJECTED")}
    world.refuse = lambda _: None
    world.quote("120", "120.1")  # it has fired, wherever the price goes
    world.pass_ms(12_000)
    assert world.positions["BTCUSDT"] == 0
    assert world.told("trail_stop_triggered")[-1]["closeSuccess"] is True


@pytest.mark.parametrize("claimed", ["0.2", "1"])
def test_a_resting_closer_of_somebody_else_does_not_switch_it_off(claimed: str) -> None:
    world = started()
    terms = {"symbol": "BTCUSDT", "side": "SELL", "order_type": "LIMIT", "price": D(120), "reduce_only": True}
    take_profit = ChildOrder(
        client_order_id="TP",
        account_id=ACCOUNT,
        parent_id="",
        quantity=D(claimed),
        leverage=D(5),
        origin="MANUAL",
        **terms,
    )
    world.orders["TP"] = Order(take_profit, D(120), "active")
    world.quote("98", "98.1")
    world.pass_ms(3_000)
    assert world.positions["BTCUSDT"] == 0
    assert [event["closeSuccess"] for event in world.told("trail_stop_triggered")] == [True]


def test_what_came_in_while_it_closed_is_closed_too() -> None:
    world = started()
    world.crosses = False
    world.quote("98", "98.1")
    world.hold("1.4")
    (name,) = world.resting
    world.happens(lambda: world.fill(name, D(1), D(98)))
    world.crosses = True
    world.pass_ms(3_000)
    assert world.positions["BTCUSDT"] == 0
    assert [order.executed for order in world.orders.values()] == [D(1), D("0.4")]


@pytest.mark.parametrize("after", ["0", "-1"])
def test_it_ends_with_its_position_whoever_closed_or_flipped_it(after: str) -> None:
    world = started()
    world.hold("0.3")
    assert world.table[sole(world)][5] is None
    world.hold(after)
    (event,) = world.told("trail_stop_cancelled")
    assert event["reason"] == "position_closed"
    assert world.orders == {}


def test_one_position_has_one_stop_which_an_edit_replaces() -> None:
    world = started()
    first = sole(world)
    world.send("trail_stop", request_id="r2", positionId=POSITION, callbackPct=2)
    refused = world.result("r2")
    assert (refused["errorCode"], refused["details"]) == ("ALGO_ALREADY_EXISTS", {"runningId": first})
    world.send("trail_stop", request_id="r3", positionId=POSITION, callbackPct=2, replacesId=first)
    assert world.result("r3")["success"] is True
    assert [event["trailStopId"] for event in world.told("trail_stop_cancelled")] == [first]
    world.quote("98.5", "98.6")
    assert world.orders == {}
    world.quote("97.9", "98.0")
    assert len(world.orders) == 1


def test_a_position_that_nobody_has_and_another_ones_are_refused() -> None:
    world = World()
    world.pass_ms(10)
    world.send("trail_stop", positionId="pos_x", callbackPct=1)
    world.pass_ms(2_500)
    assert world.result()["errorCode"] == "POSITION_NOT_FOUND"
    world.hold("1")
    world.send("trail_stop", request_id="r2", account="other", positionId=POSITION, callbackPct=1)
    assert world.result("r2")["errorCode"] == "OWNERSHIP_FORBIDDEN"


def test_a_position_that_risk_tells_a_moment_later_is_waited_for() -> None:
    world = World()
    world.pass_ms(10)
    world.send("trail_stop", positionId=POSITION, callbackPct=1)
    world.pass_ms(300)
    world.hold("1")
    assert world.result()["success"] is True


def test_paused_it_does_not_fire_and_the_user_lets_it_go_on_from_the_present_price() -> None:
    world = started()
    stop_id = sole(world)
    world.quote("110", "110.1")
    world.send("trail_stop_pause", request_id="p", trailStopId=stop_id)
    world.quote("100", "100.1")
    assert world.orders == {}
    world.send("trail_stop_resume", request_id="u", trailStopId=stop_id)
    world.pass_ms(1_000)
    assert world.orders == {}
    assert state(world).extreme == D("100.05")


@pytest.mark.parametrize("killed", [False, True])
def test_resumed_by_the_user_without_a_price_it_goes_on_from_the_next_one(killed: bool) -> None:
    world = started()
    stop_id = sole(world)
    world.quote("110", "110.1")
    world.send("trail_stop_pause", request_id="p", trailStopId=stop_id)
    world.quote("100", "100.1")
    world.life.markets._prices.clear()
    world.send("trail_stop_resume", request_id="u", trailStopId=stop_id)
    if killed:
        world.kill()
    world.pass_ms(1_000)
    assert world.orders == {}
    assert state(world).extreme == D("100.05")
    world.quote("98", "98.1")
    assert len(world.orders) == 1


def test_a_pause_of_risk_does_not_loosen_it() -> None:
    world = started()
    world.quote("110", "110.1")
    world.control("pause")
    world.quote("100", "100.1")
    assert world.orders == {}
    world.control("resume")
    assert len(world.orders) == 1


def test_without_a_price_nothing_fires() -> None:
    world = started()
    world.life.markets._prices.clear()
    world.loop.now_ms += 10_000
    world.happens(lambda: None)
    assert world.orders == {}


deaths = st.sampled_from([None, None, "saved", "unsaved", "missed"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-30, 30), deaths), min_size=1, max_size=40))
def test_r19_a_crash_never_loosens_the_stop(moves: list[tuple[int, str | None]]) -> None:
    """It fires at the first price that is the whole way back from the best, however often it was killed between.

    Killed with its extreme saved, before that, and after one that it has not even seen.
    """
    world = started()
    world.crosses = False
    best = bid = D("100.0")
    for move, death in moves:
        bid = max(D(50), bid + D(move) / 10)
        if death == "missed":
            world.miss(bid, bid + D("0.1"))
            best = max(best, bid)
            bid -= D("0.3")
        else:
            world.database_stands = death == "unsaved"
            world.quote(bid, bid + D("0.1"))
            world.pass_ms(150 if death == "saved" else 0)
            world.database_stands = False
            best = max(best, bid)
        if death is not None:
            world.quotes["BTCUSDT"] = bid, bid + D("0.1")
            world.kill()
        fired = (bid + D("0.05")) <= (best + D("0.05")) * D("0.99")
        assert bool(world.orders) == fired
        if fired:
            return


@pytest.mark.parametrize("quantity", ["1", "-1"])
def test_of_what_it_missed_it_takes_only_what_came_after_the_price_it_has_seen(quantity: str) -> None:
    best, back, more = (("110", "110.1"), ("109.5", "109.6"), ("110.2", "110.3"))
    if quantity == "-1":
        best, back, more = (("90", "90.1"), ("90.5", "90.6"), ("89.8", "89.9"))
    world = started(quantity)
    world.quote(*best)
    world.pass_ms(200)
    world.send("trail_stop_pause", request_id="p", trailStopId=sole(world))
    world.quote(*more)
    world.quote(*back)
    world.send("trail_stop_resume", request_id="u", trailStopId=sole(world))
    world.kill()
    assert state(world).extreme == (D(back[0]) + D(back[1])) / 2
    world.miss(*more)
    world.kill()
    assert state(world).extreme == (D(more[0]) + D(more[1])) / 2
    assert world.told("trail_stop_progress")[-1]["extremePrice"] == float(state(world).extreme)


def test_a_best_price_while_the_line_was_lost_counts() -> None:
    world = started()
    world.quote("110", "110.1")
    world.miss("112", "112.1")
    world.happens(world.reconnect)
    assert state(world).extreme == D("112.05")
    world.pass_ms(2_000)
    assert world.orders != {}, "at 110.05 it is more than its way below"


def test_an_activation_that_it_missed_counts() -> None:
    world = started(activationPrice=105)
    world.miss("104", "104.1")
    world.miss("106", "106.1")
    world.kill()
    assert state(world).extreme == D("106.05")
    assert len(world.orders) == 1, "by now the price has come back more than its way"


def test_the_last_extreme_of_a_second_is_told_when_it_is_over() -> None:
    world = started()
    for bid in ("101", "102", "103"):
        world.quote(bid, D(bid) + D("0.1"))
        world.pass_ms(110)
    world.pass_ms(2_000)
    assert world.told("trail_stop_progress")[-1]["extremePrice"] == 103.05
