"""The engine around all kinds: what ends them from outside."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.pms_algos.build import D, spec
from tests.unit.pms_algos.life import NAMES
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.venue import ACCOUNT
from tests.unit.pms_algos.world import World

from pms_algos.app.kinds import KINDS
from pms_common.ids import object_id

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 5}
TWAP = {**CHASE, "lots": 4, "durationMinutes": 1}
SCALPER = {"symbol": "BTCUSDT", "startSide": "LONG", "childCount": 2, "longSizeUsd": 100, "leverage": 5}


@pytest.mark.parametrize(("kind", "most"), [("chase", 500), ("twap", 500), ("twap_basket", 100), ("scalper", 50)])
def test_an_account_may_run_so_many_of_a_kind_and_what_a_new_one_replaces_does_not_count(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert KINDS[kind].most == most
    monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], most=1))
    legs = [{"symbol": "BTCUSDT", "side": "BUY", "sizeUsdt": 300, "leverage": 5}]
    basket: dict[str, Any] = {"legs": legs, "lots": 2, "durationMinutes": 1}
    body = {"chase": CHASE, "twap": TWAP, "twap_basket": basket, "scalper": SCALPER}[kind]
    world = World()
    world.pass_ms(10)
    world.send(kind, "a", **body)
    before = len(world.orders)
    world.send(kind, "b", **body)
    assert world.result("b")["errorCode"] == "ALGO_LIMIT_REACHED"
    assert (len(world.orders), len(world.table)) == (before, 1), "before any side effect"
    world.send(kind, "c", replacesId=sole(world), **body)
    assert world.result("c")["success"] is True


def test_no_database_stands_between_a_price_and_an_amend() -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send("chase", **CHASE)
    world.pass_ms(200)
    world.database_stands = True
    world.quote("99", "99.1")
    (order,) = world.live
    assert order.price == D("99.0")


def test_dust_is_told() -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send("chase", **CHASE)
    world.happens(lambda: world.fill(world.resting[0], D("0.96")))
    world.happens(lambda: world.end(world.resting[0], "cancelled"))
    (event,) = world.told("chase_filled")
    assert (event["filledQty"], event["dustQty"]) == (0.96, 0.04)


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


def test_of_two_that_replace_the_same_algo_one_is_refused() -> None:
    world = World()
    world.pass_ms(10)
    world.send("chase", "a", **CHASE)
    world.pass_ms(10)
    world.cancels_lost = 1
    first = sole(world)
    world.send("chase", "b", replacesId=first, **CHASE)
    world.send("chase", "c", replacesId=first, **CHASE)
    assert world.result("c")["errorCode"] == "ALGO_ALREADY_EXISTS"
    world.pass_ms(8_000)
    assert world.result("b")["success"] is True
    assert len(world.live) == 1


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


@pytest.mark.parametrize("halted", [False, True])
def test_a_start_that_waits_for_its_first_price_is_ended_with_the_other_algos(halted: bool) -> None:
    world = World()
    world.life.markets._prices.clear()
    world.quotes.clear()
    for name, symbol in (("a", "BTCUSDT"), ("b", "ETHUSDT")):
        world.specs[symbol] = world.life.markets.specs[symbol] = spec(symbol=symbol)
        world.send("chase", name, **{**CHASE, "symbol": symbol})
    if halted:
        world.operate(state="halted", symbol="BTCUSDT", cancel=True)
        world.operate(state="active", symbol="BTCUSDT")
    else:
        world.control("stop", symbol="BTCUSDT", reason="cancelled")
    world.quotes = {"BTCUSDT": (D("100"), D("100.1")), "ETHUSDT": (D("100"), D("100.1"))}
    world.pass_ms(3_000)
    assert (world.result("a")["errorCode"], world.result("b")["success"]) == ("CANCELLED_BEFORE_SEND", True)
    assert [order.asked.symbol for order in world.orders.values()] == ["ETHUSDT"]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("chase", CHASE, "NO_PRICE"),
        ("twap", TWAP, "VALIDATION_TWAP_PRICE_UNAVAILABLE"),
        ("scalper", SCALPER, "NO_PRICE"),
    ],
)
def test_a_start_whose_price_does_not_come_says_so_in_its_kinds_word(
    kind: str, body: dict[str, Any], code: str
) -> None:
    world = World()
    world.life.markets._prices.clear()
    world.quotes.clear()
    world.send(kind, **body)
    world.pass_ms(3_000)
    assert (world.result()["errorCode"], world.table) == (code, {})


@pytest.mark.parametrize("whose", [ACCOUNT, "somebody"])
def test_a_start_that_waits_for_its_first_price_is_cancelled_by_its_id(whose: str) -> None:
    world = World()
    world.life.markets._prices.clear()
    quotes, world.quotes = world.quotes, {}
    world.send("chase", "a", **CHASE)
    algo_id = object_id("chase", NAMES.namespace, ACCOUNT, "a")
    world.send("chase_cancel", "c", account=whose, chaseId=algo_id)
    world.quotes = quotes
    world.pass_ms(3_000)
    assert world.result("c")["errorCode"] == "ALGO_NOT_FOUND"
    if whose == "somebody":
        assert (world.result("a")["success"], len(world.orders)) == (True, 1)
    else:
        assert (world.result("a")["errorCode"], world.orders) == ("CANCELLED_BEFORE_SEND", {})


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_repeated_pause_or_resume_is_answered_when_the_first_is_durable(verb: str) -> None:
    world = World()
    world.pass_ms(10)
    world.send("chase", **CHASE)
    chase_id = sole(world)
    if verb == "resume":
        world.send("chase_pause", "before", chaseId=chase_id)
    world.database_stands = True
    for request_id in ("p1", "p2"):
        world.send(f"chase_{verb}", request_id, chaseId=chase_id)
        assert request_id not in world.results
    world.database_stands = False
    world.pass_ms(10)
    status = "paused" if verb == "pause" else "active"
    assert [world.result(name)["status"] for name in ("p1", "p2")] == [status, status]


def test_an_amendment_that_is_lost_with_its_line_is_asked_for_again() -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send("chase", **CHASE)
    world.pass_ms(200)
    world.amends_lost = 1
    world.quote("99", "99.1")
    (order,) = world.orders.values()
    assert (world.amends_lost, order.price) == (0, D("100.0"))
    world.pass_ms(3_000)
    assert order.price == D("99.0")


def test_a_halt_that_cancels_ends_the_algos_whenever_the_process_dies() -> None:
    for point in range(12):
        world = World()
        world.crosses = False
        world.pass_ms(10)
        world.send("chase", **CHASE)
        world.kill_at = world.effects + point
        world.operate(state="halted", cancel=True)
        world.operate(state="active")
        world.pass_ms(12_000)
        assert (world.state(sole(world)).outcome, world.live) == ("risk", []), f"killed at effect {point}"
        assert world.items == []


def test_a_halt_that_comes_again_does_not_outlive_the_word_that_lifted_it() -> None:
    world = World()
    world.crosses = False
    world.send("chase", **CHASE)
    world.database_stands = True
    world.operate(state="halted", cancel=True)
    world.operate(state="active")
    world.kill()
    assert world.life.markets.gate("", "BTCUSDT") == "active"
    world.database_stands = False
    world.pass_ms(12_000)
    assert (world.life.markets.gate("", "BTCUSDT"), world.items) == ("active", [])


def test_a_running_chase_refused_as_its_account_freezes_waits_and_goes_on_when_it_is_let() -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send("chase", **CHASE)
    world.refuse = lambda _: "ACCOUNT_FROZEN"
    world.happens(lambda: world.end(world.resting[0], "cancelled"))
    world.pass_ms(1_500)
    assert [world.state(sole(world)).outcome, world.live] == [None, []]
    world.account_is("FROZEN")
    world.refuse = lambda _: None
    world.pass_ms(60_000)
    assert world.live == []
    world.account_is("ACTIVE")
    world.pass_ms(2_000)
    assert len(world.live) == 1


def test_an_end_is_told_once_it_is_durable_whenever_the_process_dies() -> None:
    untold = []
    for point in range(12):
        world = World()
        world.crosses = False
        world.pass_ms(10)
        world.send("chase", **CHASE)
        chase_id, restart = sole(world), world.restart

        def watched(world: World = world, name: str = chase_id, again: Callable[[], None] = restart) -> None:
            untold.append(world.state(name).outcome == "filled" and not world.told("chase_filled"))
            again()

        world.restart = watched  # type: ignore[method-assign]
        world.kill_at = world.effects + point
        world.happens(lambda world=world: world.fill(world.resting[0], D(1)))  # type: ignore[misc]
        world.pass_ms(100)
        assert [event["fillPrice"] for event in world.told("chase_filled")] == [100.0]
        assert world.table[chase_id][5] == "filled"
        assert world.hash[NAMES.algos(ACCOUNT)] == {}
    assert {True, False} == set(untold), "it died before its end was durable, and before it was told"
