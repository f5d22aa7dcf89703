"""The TWAP's rules one by one: schedule, merging, price limit, limit first, retries, pace, basket."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_algos.build import D, market, spec
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.world import World

from pms_algos.domain.twap_lot import limit_first, taking
from pms_algos.domain.twap_schedule import schedule
from pms_algos.domain.twap_state import TwapPlan

MINUTE_MS = 60_000
BUY = {"symbol": "BTCUSDT", "side": "BUY", "leverage": 5, "lots": 4, "durationMinutes": 1}


def started(world: World | None = None, **changes: Any) -> World:
    world = world or World()
    world.pass_ms(10)
    world.send("twap", **{**BUY, "quantity": 1, **changes})
    return world


def sent(world: World, kind: str = "") -> list[Decimal]:
    return [order.asked.quantity for order in world.orders.values() if kind in ("", order.asked.order_type)]


@given(
    total=st.integers(100, 1_000_000),
    lots=st.integers(2, 100),
    jitter=st.booleans(),
    irregular=st.booleans(),
    seed=st.text(max_size=5),
)
def test_r32_lots_make_the_whole_on_the_grid_and_jitter_keeps_the_end(
    total: int, lots: int, jitter: bool, irregular: bool, seed: str
) -> None:
    interval_ms, step = 10_000, D("0.001")
    made = schedule(D(total) / 1000, lots, 0, interval_ms, step, jitter, irregular, seed)
    assert made == schedule(D(total) / 1000, lots, 0, interval_ms, step, jitter, irregular, seed)
    assert made[-1].upto == D(total) / 1000
    sums = [D(0), *(lot.upto for lot in made)]
    regular = D(total) / 1000 / lots
    for i, lot in enumerate(made):
        assert lot.upto % step == 0
        assert abs(lot.due_ms - i * interval_ms) <= (interval_ms // 10 if jitter and i else 0)
        share = (sums[i + 1] - sums[i] - step) / regular if irregular else D(1)
        assert share <= D("1.86")  # 1.3 of a regular one, where all others were 0.7
        assert sums[i + 1] >= sums[i]


def test_each_lot_rests_first_and_the_market_takes_what_is_left() -> None:
    world = started()
    assert sent(world) == [D("0.250")]
    world.happens(lambda: world.fill(world.resting[0], D("0.1")))
    world.pass_ms(8_900)
    assert sent(world, "MARKET") == []
    world.pass_ms(200)
    assert sent(world, "MARKET") == [D("0.150")]
    world.pass_ms(MINUTE_MS)
    state = world.state(sole(world))
    assert (state.outcome, state.filled_lots, world.executed) == ("filled", 4, D(1))
    ends = [
        (event["lastLotSuccess"], event["lastLotType"])
        for event in world.told("twap_progress")
        if event.get("lastLotType")
    ]
    assert ends == [(True, "market")] * 4
    (done,) = world.told("twap_completed")
    assert (done["filledLots"], done["filledQty"], done["errors"]) == (4, 1, [])


@pytest.mark.parametrize(("lots", "rests_ms"), [(15, 3_000), (30, 2_000)])
def test_a_limit_order_rests_for_three_seconds_where_the_interval_is_that_long(lots: int, rests_ms: int) -> None:
    world = started(lots=lots, quantity=10)
    world.pass_ms(rests_ms - 20)
    assert sent(world, "MARKET") == []
    world.pass_ms(40)
    assert len(sent(world, "MARKET")) == 1


@pytest.mark.parametrize(
    ("side", "limit", "first", "take"),
    [
        ("BUY", None, "1000.2", (True, "1000.5")),
        ("SELL", None, "1000.2", (True, "1000.0")),
        ("BUY", "1000.1", "1000.1", (False, "1000.1")),
        ("SELL", "1000.33", "1000.4", (False, "1000.4")),
    ],
)
def test_prices_of_a_lot(side: Any, limit: str | None, first: str, take: tuple[bool, str]) -> None:
    price_limit = None if limit is None else D(limit)
    names = {"algo_id": "t", "account_id": "acc", "request_id": "r", "symbol": "BTCUSDT", "side": side}
    lots = schedule(D(1), 2, 0, 1, D("0.001"), jitter=False, irregular=False, seed="")
    facts = {"leverage": D(5), "in_usdt": False, "lots": lots, "interval_ms": 1, "duration_ms": 2, "started_ms": 0}
    plan = TwapPlan(**names, **facts, price_limit=price_limit)  # type: ignore[arg-type]
    at = market("1000.0", "1000.5")
    assert limit_first(plan, at) == D(first)
    assert taking(plan, at) == (take[0], D(take[1]))


def test_lots_in_usdt_are_sized_at_their_time_and_make_the_notional() -> None:
    world = started(quantity=None, totalSize=400)
    assert sent(world) == [D("0.999")]  # 100 USDT at 100.1
    world.pass_ms(10_000)
    world.quote("200.0", "200.1")
    world.pass_ms(MINUTE_MS)
    state = world.state(sole(world))
    assert state.outcome == "filled"
    assert D(400) - D("0.001") * 201 < world.cost <= 400


def test_r32_lots_below_the_minimum_go_with_the_next() -> None:
    world = started(quantity=None, totalSize=24)  # 6 USDT a lot
    world.pass_ms(10_000)
    world.specs["BTCUSDT"] = world.life.markets.specs["BTCUSDT"] = spec(min_notional=D(10))
    world.pass_ms(MINUTE_MS)
    state = world.state(sole(world))
    assert (state.outcome, state.filled_lots) == ("filled", 4)
    assert len(sent(world, "MARKET")) == 2  # 6, then 18: what would be left alone is taken along
    assert D(24) - world.cost < D("0.2")


def test_a_lot_waits_for_its_price_and_none_is_lost() -> None:
    world = started(priceLimit=100.2)
    world.pass_ms(10_000)
    assert world.executed == D("0.250")
    world.quote("100.5", "100.6")
    world.pass_ms(40_000)
    assert world.executed == D("0.250")
    skips = [event for event in world.told("twap_progress") if event.get("skipped")]
    assert [event["skippedTicks"] for event in skips] == [1, 2, 3]
    assert (skips[0]["currentPrice"], skips[0]["priceLimit"]) == (100.6, 100.2)
    world.quote("100.0", "100.1")
    assert sent(world)[-1] == D("0.250"), "at once, and one lot only"
    world.pass_ms(MINUTE_MS)
    assert world.executed == D(1)
    assert all(order.price is None or order.price <= D("100.2") for order in world.orders.values())
    assert sent(world, "MARKET") == []


def test_lots_that_were_due_while_it_was_down_follow_at_twice_the_pace() -> None:
    world = started()
    world.pass_ms(10_000)
    world.loop.clear()
    world.loop.now_ms += 45_000  # nothing runs
    world.kill()
    began = [world.loop.now_ms]
    while world.state(sole(world)).outcome is None:
        before = world.state(sole(world)).lot
        world.pass_ms(500)
        if world.state(sole(world)).lot > before:
            began.append(world.loop.now_ms)
    assert world.executed == D(1)
    assert max(sent(world)) == D("0.250")
    assert all(later - earlier >= 7_500 for earlier, later in pairwise(began))


def test_a_lot_that_fails_is_tried_again_then_told_and_never_counted() -> None:
    world = World()
    world.pass_ms(10)
    world.refuse = lambda _: "INSUFFICIENT_MARGIN"
    started(world)
    world.pass_ms(13_000)
    state = world.state(sole(world))
    assert (state.lot, state.filled_lots) == (1, 0)
    assert [(f.lot, f.error) for f in state.failures] == [(1, "refused: INSUFFICIENT_MARGIN")]
    assert len(world.refused) == 3
    world.refuse = lambda _: None
    world.pass_ms(80_000)
    state = world.state(sole(world))
    assert (state.outcome, state.filled_lots, world.executed) == ("filled", 3, D("0.750"))
    (done,) = world.told("twap_completed")
    assert done["errors"] == [{"lot": 1, "error": "refused: INSUFFICIENT_MARGIN"}]


def test_no_lot_is_lost_to_what_passes_by_itself() -> None:
    world = World()
    world.refuse = lambda _: "INFRA_NOT_READY"
    started(world)
    world.pass_ms(60_000)
    assert len(world.refused) > 3
    world.refuse = lambda _: None
    world.pass_ms(80_000)
    state = world.state(sole(world))
    assert (state.outcome, state.failures, world.executed) == ("filled", (), D(1))


def test_a_cancel_takes_back_the_resting_lot_and_tells_what_was_executed() -> None:
    world = started()
    world.happens(lambda: world.fill(world.resting[0], D("0.1")))
    world.send("twap_cancel", request_id="c", twapId=sole(world))
    result = world.result("c")
    assert (result["status"], result["filledLots"], result["totalLots"]) == ("ended", 0, 4)
    assert world.live == []
    (event,) = world.told("twap_cancelled")
    assert (event["reason"], event["filledQty"]) == ("cancelled", 0.1)
    world.pass_ms(MINUTE_MS)
    assert world.executed == D("0.1")
    assert world.hash == {"t:algos:acc": {}}


def test_paused_it_places_nothing_and_resumed_it_executes_what_is_left_of_the_lot() -> None:
    world = started()
    world.happens(lambda: world.fill(world.resting[0], D("0.1")))
    twap_id = sole(world)
    world.send("twap_pause", request_id="p", twapId=twap_id)
    assert world.result("p")["status"] == "paused"
    assert world.live == []
    world.pass_ms(120_000)
    assert sent(world) == [D("0.250")]
    world.send("twap_resume", request_id="u", twapId=twap_id)
    assert sent(world)[1:] == [D("0.150")]


def test_too_many_lots_are_refused_with_how_many_fit() -> None:
    world = started(quantity=None, totalSize=50, lots=20)
    result = world.result()
    assert (result["errorCode"], result["details"]["maxLots"]) == ("VALIDATION_TWAP_LOTS_INVALID", 9)
    assert world.table == {}


def test_all_legs_that_are_too_small_are_named() -> None:
    world = World(symbols=("BTCUSDT", "ETHUSDT"))
    world.pass_ms(10)
    leg = {"side": "BUY", "leverage": 5}
    legs = [{"symbol": "BTCUSDT", "sizeUsdt": 10, **leg}, {"symbol": "ETHUSDT", "sizeUsdt": 1_000, **leg}]
    world.send("twap_basket", legs=legs, lots=4, durationMinutes=1)
    result = world.result()
    assert result["errorCode"] == "VALIDATION_TWAP_BASKET_LOTS_INVALID"
    assert [error["field"] for error in result["errors"]] == ["legs[0].sizeUsdt"]
    assert [leg["symbol"] for leg in result["details"]["legs"]] == ["BTCUSDT"]


def test_the_legs_of_a_basket_keep_one_schedule() -> None:
    world = World(symbols=("BTCUSDT", "ETHUSDT"))
    world.pass_ms(10)
    leg = {"side": "SELL", "leverage": 5, "sizeUsdt": 100}
    legs = [{"symbol": "BTCUSDT", **leg}, {"symbol": "ETHUSDT", **leg}]
    world.send("twap_basket", legs=legs, lots=4, durationMinutes=1, jitter=True, irregular=True)
    result = world.result()
    assert result["twapBasketId"].startswith("twapb_")
    first, second = world.state(sole(world)).legs
    assert [lot.due_ms for lot in first.plan.lots] == [lot.due_ms for lot in second.plan.lots]
    world.pass_ms(70_000)
    (done,) = world.told("twap_basket_completed")
    assert (done["filledLots"], [leg["totalSize"] for leg in done["legs"]]) == (4, [100, 100])


def test_a_cancel_that_was_lost_is_repeated_while_another_leg_has_no_price() -> None:
    world = World(symbols=("BTCUSDT", "ETHUSDT"))
    world.pass_ms(10)
    leg = {"side": "BUY", "leverage": 5, "sizeUsdt": 100}
    legs = [{"symbol": "BTCUSDT", **leg}, {"symbol": "ETHUSDT", **leg}]
    world.send("twap_basket", legs=legs, lots=4, durationMinutes=1)
    world.happens(lambda: world.fill(world.resting[0], D(1)))
    del world.quotes["BTCUSDT"]  # its next lot waits for a price
    world.pass_ms(20_000)
    (resting,) = world.resting
    world.cancels_lost = 1
    world.pass_ms(12_000)
    assert (world.cancels_lost, world.orders[resting].alive) == (0, False)
