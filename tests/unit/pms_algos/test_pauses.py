"""Who holds an algo back: user, account and risk each for itself; it runs only while nobody does."""

from typing import Any

import msgspec
import pytest
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.world import World

from pms_algos.domain import pauses

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 5}
TWAP = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "lots": 2, "durationMinutes": 2, "leverage": 5}
SCALPER = {
    "symbol": "BTCUSDT",
    "startSide": "LONG",
    "childCount": 1,
    "longOffsetPct": 0.2,
    "shortOffsetPct": 0.2,
    "longSizeUsd": 100,
    "shortSizeUsd": 100,
    "leverage": 5,
}
KINDS = pytest.mark.parametrize(("kind", "body"), [("chase", CHASE), ("twap", TWAP), ("scalper", SCALPER)])


def started(kind: str, body: dict[str, Any]) -> World:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    world.send(kind, **body)
    world.pass_ms(10)
    assert world.live
    return world


def user(world: World, kind: str, verb: str, request_id: str) -> Any:
    world.send(f"{kind}_{verb}", request_id, **{f"{kind}Id": sole(world)})
    return world.result(request_id)


@KINDS
def test_what_the_user_paused_waits_for_the_account_too(kind: str, body: dict[str, Any]) -> None:
    world = started(kind, body)
    user(world, kind, "pause", "r2")
    world.account_is("FROZEN")
    assert user(world, kind, "resume", "r3")["success"] is True
    world.pass_ms(3_000)
    assert not world.live, "frozen"
    assert user(world, kind, "resume", "r4")["errorCode"] == "TRADING_REDUCING"
    world.account_is("ACTIVE")
    world.pass_ms(3_000)
    assert world.live


@KINDS
@pytest.mark.parametrize("frozen_lasts", [True, False])
def test_a_liquidation_and_a_frozen_account_hold_for_themselves(
    kind: str, body: dict[str, Any], frozen_lasts: bool
) -> None:
    world = started(kind, body)
    world.control("pause", "BTCUSDT")
    world.account_is("FROZEN")
    for first in (True, False):
        if first == frozen_lasts:
            world.control("resume", "BTCUSDT")
        else:
            world.account_is("ACTIVE")
        world.pass_ms(3_000)
        assert bool(world.live) is not first


def test_an_unfreezing_that_nobody_heard_lets_it_go_on() -> None:
    world = started("twap", TWAP)
    world.account_is("FROZEN")
    assert not world.live
    world.status = "ACTIVE"
    world.kill()
    world.pass_ms(3_000)
    assert world.live


def test_what_opens_is_refused_where_the_account_is_frozen() -> None:
    world = World()
    world.pass_ms(10)
    world.account_is("FROZEN")
    world.send("chase", "r1", **CHASE)
    assert world.result("r1")["errorCode"] == "ACCOUNT_FROZEN"
    assert not world.table
    world.hold("-1")
    world.send("chase", "r2", **CHASE, reduceOnly=True)
    assert world.result("r2")["success"] is True


def test_one_holder_kept_by_an_earlier_version_is_let_go_by_whoever_comes_first() -> None:
    world = started("chase", CHASE)
    world.control("pause", "BTCUSDT")
    row = list(world.table[sole(world)])
    row[6] = msgspec.json.encode(msgspec.structs.replace(world.state(sole(world)), paused="risk"))
    world.table[sole(world)] = tuple(row)
    world.kill()
    world.pass_ms(3_000)
    assert world.live
    assert pauses.let_go("user", pauses.FROZEN) == "user"
    assert pauses.let_go("risk", pauses.USER) == "risk"


@KINDS
def test_each_order_to_an_algo_may_be_repeated(kind: str, body: dict[str, Any]) -> None:
    world = started(kind, body)
    first, again = (user(world, kind, "pause", name) for name in ("r2", "r3"))
    assert (first["status"], again["status"], world.live) == ("paused", "paused", [])
    first, again = (user(world, kind, "resume", name) for name in ("r4", "r5"))
    assert (first["status"], again["status"]) == ("active", "active")
    world.pass_ms(3_000)
    assert len(world.live) == 1
    first, again = (user(world, kind, "cancel", name) for name in ("r6", "r7"))
    assert {**first, "requestId": ""} == {**again, "requestId": ""}
    assert (first["status"], world.live) == ("ended", [])
    assert user(world, kind, "pause", "r8")["errorCode"] == "ALGO_NOT_FOUND"
    assert [event["reason"] for event in world.told(f"{kind}_cancelled")][-1:] == ["cancelled"]
