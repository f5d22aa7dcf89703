"""The scalper's nine guards, one by one: which layer may be placed, how far away and how large."""

import math
from typing import Any

import msgspec
import pytest
from tests.unit.pms_algos.build import D, spec
from tests.unit.pms_algos.scalper_steps import T0, plan

from pms_algos.domain.events import Held
from pms_algos.domain.scalper_geometry import armed
from pms_algos.domain.scalper_guards import Go, Hold, Sight, judge, judge_live, price_bound
from pms_algos.domain.scalper_state import Leg, Scalper


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
