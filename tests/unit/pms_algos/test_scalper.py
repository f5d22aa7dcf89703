"""The scalper's rules one by one: geometry, arming, the nine guards, live orders, the shared budget, its end."""

import json
import math
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_algos.build import D, spec
from tests.unit.pms_algos.life import NAMES
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.world import ACCOUNT, World

from pms_algos.domain.events import Held
from pms_algos.domain.scalper_geometry import armed, offsets, weights
from pms_algos.domain.scalper_guards import Go, Hold, Sight, judge, judge_live, price_bound
from pms_algos.domain.scalper_state import Leg, Scalper, ScalperPlan
from pms_common.contracts.bus.risk import ChildOrder

BODY = {
    "symbol": "BTCUSDT",
    "startSide": "LONG",
    "childCount": 2,
    "longOffsetPct": 0.2,
    "shortOffsetPct": 0.2,
    "longSizeUsd": 100,
    "shortSizeUsd": 100,
    "leverage": 5,
}
T0 = 1_000_000


def started(world: World | None = None, **changes: Any) -> World:
    world = world or World()
    world.pass_ms(10)
    world.send("scalper", **{**BODY, **changes})
    return world


def state(world: World) -> Any:
    found = world.life.engine.algos.find(sole(world))
    assert found is not None
    return found[1]


def buys(world: World) -> list[str]:
    return [name for name in world.resting if world.orders[name].asked.side == "BUY"]


def sells(world: World) -> list[str]:
    return [name for name in world.resting if world.orders[name].asked.side == "SELL"]


def fill(world: World, name: str, quantity: str | None = None) -> None:
    world.happens(lambda: world.fill(name, world.orders[name].left if quantity is None else D(quantity)))
    world.pass_ms(150)


# -- geometry


def test_layers_lie_between_the_base_over_and_times_the_root_of_two() -> None:
    assert offsets(D("0.3"), 1) == [D("0.3")]
    row = offsets(D("0.3"), 3)
    assert [float(offset) for offset in row] == pytest.approx([0.3 / math.sqrt(2), 0.3, 0.3 * math.sqrt(2)], abs=1e-6)


@given(st.integers(-100, 100), st.integers(1, 10))
def test_weights_make_one_and_a_positive_skew_puts_more_on_the_far_layers(skew: int, layers: int) -> None:
    row = weights(skew, layers)
    assert float(sum(row)) == pytest.approx(1)
    assert row == sorted(row, reverse=skew < 0)
    if layers > 1 and skew == 100:
        assert float(row[-1] / row[0]) == pytest.approx(64)


def test_on_a_coarse_grid_each_layer_is_a_tick_behind_the_last() -> None:
    leg = armed(plan(child_count=4, long_offset_pct=D("0.01")), "LONG", D(100), spec())
    assert [slot.offset_ticks for slot in leg.slots] == [None, 1, 2, 3]


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


# -- legs


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


@pytest.mark.parametrize("close", [True, False])
def test_at_its_end_it_closes_what_it_opened_where_asked_and_nothing_else(close: bool) -> None:
    world = World()
    world.hold("1")
    started(world)
    fill(world, buys(world)[0])
    world.send("scalper_cancel", request_id="c", scalperId=sole(world), closePositions=close)
    world.pass_ms(1_000)
    assert world.live == []
    assert world.positions["BTCUSDT"] == (1 if close else D("1.499"))
    result = world.result("c")
    assert (result["status"], result["closedPositions"]) == ("ended", close)


def test_it_closes_all_that_it_opened_though_no_order_may_be_so_large() -> None:
    world = started(World(market_max_quantity=D("0.2")))
    for name in buys(world):
        fill(world, name)
    opened = world.positions["BTCUSDT"]
    assert opened > D("0.4")
    world.send("scalper_cancel", request_id="c", scalperId=sole(world), closePositions=True)
    world.pass_ms(1_000)
    closed = [order.executed for order in world.orders.values() if order.asked.order_type == "MARKET"]
    assert (sum(closed), max(closed)) == (opened, D("0.2"))
    assert world.positions["BTCUSDT"] == 0
    assert world.result("c")["closedPositions"] is True


def test_a_close_that_is_refused_is_tried_ever_later_until_it_succeeds() -> None:
    world = started()
    fill(world, buys(world)[0])
    tried: list[int] = []

    def refuse(child: ChildOrder) -> str | None:
        if child.order_type == "MARKET":
            tried.append(world.loop.now_ms)
            return "REDUCE_ONLY_REJECTED"
        return None

    world.refuse = refuse
    world.send("scalper_cancel", request_id="c", scalperId=sole(world), closePositions=True)
    for _ in range(40):
        world.pass_ms(100)
    assert [round(b - a, -2) for a, b in pairwise(tried)] == [500, 1_000, 2_000]
    world.kill()
    world.refuse = lambda _: None
    world.pass_ms(5_000)
    assert world.positions["BTCUSDT"] == 0
    assert world.told("scalper_cancelled")[-1]["closedPositions"] is True


def test_a_close_that_does_not_succeed_is_given_up_at_the_users_word() -> None:
    world = started()
    fill(world, buys(world)[0])
    world.refuse = lambda child: "EXCHANGE_CAPACITY" if child.order_type == "MARKET" else None
    world.send("scalper_cancel", request_id="c", scalperId=sole(world), closePositions=True)
    world.pass_ms(20_000)
    assert world.told("scalper_cancelled") == []
    world.send("scalper_cancel", request_id="d", scalperId=sole(world))
    world.pass_ms(10_000)
    assert world.result("d")["closedPositions"] is False


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


# -- guards


def plan(**changes: Any) -> ScalperPlan:
    values: dict[str, Any] = {
        "algo_id": "s",
        "account_id": "acc",
        "request_id": "r",
        "symbol": "BTCUSDT",
        "start_side": "LONG",
        "leverage": D(5),
        "child_count": 1,
        "skew": 0,
        "long_offset_pct": D("0.2"),
        "short_offset_pct": D("0.2"),
        "long_size_usd": D(100),
        "short_size_usd": D(100),
        "started_ms": T0,
    }
    return ScalperPlan(**{**values, **changes})


def guarded(side: Any = "LONG", held: Held | None = None, leg: Any = None, slot: Any = None, **plan_: Any) -> Hold | Go:
    """What the guards say of the only layer of a leg at a price of 100."""
    the_plan = plan(**plan_)
    legs = {name: armed(the_plan, name, D(100), spec()) for name in ("LONG", "SHORT")}  # type: ignore[arg-type]
    legs[side] = msgspec.structs.replace(legs[side], **(leg or {}))
    scalper = Scalper(plan=the_plan, long=legs["LONG"], short=legs["SHORT"])
    the_slot = msgspec.structs.replace(legs[side].slots[0], **(slot or {}))
    return judge(scalper, legs[side], the_slot, Sight(T0, D(100), spec(), () if held is None else (held,)))


def holding(side: Any, quantity: str, entry: str) -> Held:
    return Held("p", "BTCUSDT", side, D(quantity), D(entry), D(5))


def test_guard_1_the_price_must_have_left_the_last_fill_ever_less_far() -> None:
    filled = {"fill_price": D("100.5"), "fill_ms": T0 - 10_000}  # 0.4975 % away
    settings = {"min_fill_spread_pct": D(1), "fill_decay_half_life_ms": 20_000}
    hold = guarded(leg=filled, slot={"refill": True}, **settings)
    assert isinstance(hold, Hold)
    wait = math.ceil(20_000 * math.log2(1 / 0.49751243781)) - 10_000
    assert (hold.reason, hold.until_ms, hold.refill) == ("fill_spread", T0 + wait, True)
    filled["fill_ms"] = T0 - 10_000 - wait
    assert isinstance(guarded(leg=filled, slot={"refill": True}, **settings), Go)
    filled["fill_ms"] = T0
    assert isinstance(guarded(leg=filled, **settings), Go), "only after a fill"


def test_guard_2_only_so_many_fills_a_minute() -> None:
    times = {"fill_times": (T0 - 70_000, T0 - 50_000, T0 - 1)}
    hold = guarded(leg=times, slot={"refill": True}, max_fills_per_minute=2)
    assert hold == Hold("burst_limit", T0 + 10_000)
    assert isinstance(guarded(leg=times, slot={"refill": True}, max_fills_per_minute=3), Go)


@pytest.mark.parametrize(("fills", "delay"), [(1, 2_000), (2, 4_000), (5, 32_000), (9, 32_000)])
def test_guard_3_the_delay_doubles_with_each_fill_of_the_last_minute(fills: int, delay: int) -> None:
    times = {"fill_times": tuple(T0 - i for i in range(fills, 0, -1))}
    assert guarded(leg=times, slot={"refill": True}, min_refill_delay_ms=2_000) == Hold("refill_delay", T0 + delay)


def test_guard_4_a_neutral_leg_stops_at_twice_its_size() -> None:
    full = holding("LONG", "2.001", "100")
    assert guarded(held=full, neutral_mode=True) == Hold("neutral_inventory_full", T0 + 10_000)
    assert isinstance(guarded("SHORT", held=full, neutral_mode=True), Go)
    assert isinstance(guarded(held=holding("LONG", "2", "100"), neutral_mode=True), Go)


@pytest.mark.parametrize(
    ("side", "held", "settings", "bound"),
    [
        ("LONG", None, {"long_max_price": D(99)}, "99"),
        ("LONG", holding("LONG", "1", "98"), {"long_max_price": D(99), "pin_long_to_entry": True}, "98"),
        ("LONG", holding("SHORT", "1", "97"), {"allow_loss": False}, "97"),
        ("LONG", holding("LONG", "1", "97"), {"allow_loss": False}, None),
        ("SHORT", None, {"short_min_price": D(101)}, "101"),
        ("SHORT", holding("LONG", "1", "102"), {"short_min_price": D(101), "pin_short_to_entry": True}, "102"),
        ("SHORT", holding("LONG", "1", "103"), {"allow_loss": False}, "103"),
        ("SHORT", None, {"pin_short_to_entry": True}, None),
    ],
)
def test_guard_5_bounds_and_pins(side: Any, held: Held | None, settings: dict[str, Any], bound: str | None) -> None:
    scalper = Scalper(plan=plan(**settings), long=Leg(side="LONG"), short=Leg(side="SHORT"))
    assert price_bound(scalper, side, () if held is None else (held,)) == (None if bound is None else D(bound))
    verdict = guarded(side, held, **settings)
    assert (verdict == Hold("price_filter", T0 + 30_000)) == (bound is not None)


def test_guard_6_outside_neutral_mode_only_the_start_side_opens() -> None:
    assert guarded("SHORT", slot={"reduce_only": False}) == Hold("risk", None)
    assert isinstance(guarded("SHORT", slot={"reduce_only": False}, neutral_mode=True), Go)


def test_guard_7_no_close_at_more_than_the_allowed_loss() -> None:
    assert guarded("SHORT", holding("LONG", "1", "100.6"), max_loss_per_close_bps=50) == Hold(
        "max_loss_guard", T0 + 30_000
    )
    assert isinstance(guarded("SHORT", holding("LONG", "1", "100.5"), max_loss_per_close_bps=50), Go)
    assert guarded("LONG", holding("SHORT", "1", "99.4"), start_side="SHORT", max_loss_per_close_bps=50) == Hold(
        "max_loss_guard", T0 + 30_000
    )


@pytest.mark.parametrize(
    ("mode", "pnl", "fills", "offset", "quantity"),
    [
        ("off", "-1", 3, "0.2", "1"),
        ("soft", "-1", 2, "0.2", "1"),
        ("soft", "1", 3, "0.2", "1"),
        ("soft", "-0.45", 3, "0.3", "1"),  # 15 bps a fill
        ("soft", "-90", 3, "0.5", "1"),  # never more than 2.5 times
        ("full", "-0.45", 3, "0.3", "0.75"),
        ("full", "-90", 3, "0.5", "0.5"),
    ],
)
def test_guard_8_a_layer_that_loses_is_placed_wider_and_smaller(
    mode: Any, pnl: str, fills: int, offset: str, quantity: str
) -> None:
    go = guarded(slot={"pnl_sum": D(pnl), "fills": fills}, pnl_feedback_mode=mode)
    assert isinstance(go, Go)
    assert (go.offset_pct, go.quantity) == (D(offset), D(quantity))


def test_guard_9_dust_takes_the_whole_position_and_without_one_waits() -> None:
    assert guarded("SHORT") == Hold("no_position", None)
    dust = guarded("SHORT", holding("LONG", "0.04", "100"), short_size_usd=D(3))
    assert isinstance(dust, Go)
    assert dust.quantity == D("0.04")
    shared = guarded("SHORT", holding("LONG", "0.4", "100"))
    assert isinstance(shared, Go)
    assert shared.quantity == D("0.4")


@pytest.mark.parametrize("order", [1, -1])
def test_with_both_legs_held_each_guard_looks_at_its_own(order: int) -> None:
    held = (holding("LONG", "2.001", "102"), holding("SHORT", "0.4", "97"))[::order]
    sight = Sight(T0, D(100), spec(), held)

    def judged(side: Any, **settings: Any) -> Hold | Go:
        the_plan = plan(**settings)
        legs = {name: armed(the_plan, name, D(100), spec()) for name in ("LONG", "SHORT")}  # type: ignore[arg-type]
        scalper = Scalper(plan=the_plan, long=legs["LONG"], short=legs["SHORT"])
        return judge(scalper, legs[side], legs[side].slots[0], sight)

    assert judged("LONG", neutral_mode=True) == Hold("neutral_inventory_full", T0 + 10_000)
    assert isinstance(judged("SHORT", neutral_mode=True), Go)
    for side, quantity, start_side in (("SHORT", D(1), "LONG"), ("LONG", D("0.4"), "SHORT")):
        closing = judged(side, start_side=start_side)
        assert isinstance(closing, Go)
        assert closing.quantity == quantity, "what the leg closes"
        lossy = judged(side, start_side=start_side, max_loss_per_close_bps=50)
        assert lossy == Hold("max_loss_guard", T0 + 30_000)
    assert judged("LONG", allow_loss=False) == Hold("price_filter", T0 + 30_000)


def test_fill_guards_do_not_act_on_live_orders() -> None:
    the_plan = plan(max_fills_per_minute=1)
    leg = Leg(side="LONG", slots=armed(the_plan, "LONG", D(100), spec()).slots, fill_times=(T0,))
    scalper = Scalper(plan=the_plan, long=leg, short=Leg(side="SHORT"))
    assert judge_live(scalper, leg, leg.slots[0], Sight(T0, D(100), spec(), ())) is None


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
