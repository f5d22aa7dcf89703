"""The steps of the scalper's tests: one that is started, its resting orders by side, their executions; and plans."""

from typing import Any

from tests.unit.pms_algos.build import D
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.world import World

from pms_algos.domain.scalper_state import ScalperPlan

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
