"""One life of each kind of algo, in which all of its branches are taken, and what must be true at its end.

A scenario is a list of steps; the crash tests run it once for every effect, killed there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tests.unit.pms_algos.build import D
from tests.unit.pms_algos.life import NAMES
from tests.unit.pms_algos.venue import ACCOUNT
from tests.unit.pms_algos.world import World

Step = Callable[[World], None]


@dataclass(frozen=True)
class Scenario:
    """`truth` holds the algo's own account of itself against the venue's."""

    steps: tuple[Step, ...]
    truth: Callable[[World], None]
    symbols: tuple[str, ...] = ("BTCUSDT",)

    def run(self, kill_at: int = -1) -> World:
        world = World(kill_at, self.symbols)
        for step in self.steps:
            step(world)
        self.truth(world)
        names = [name for name, order in world.orders.items() if order.alive]
        assert not names, f"left behind: {names}"
        assert all(len(set(bodies)) == 1 for bodies in world.results.values()), "a request has two answers"
        return world


def passing(ms: int) -> Step:
    return lambda world: world.pass_ms(ms)


def quoting(bid: str, ask: str, symbol: str = "BTCUSDT") -> Step:
    return lambda world: world.quote(bid, ask, symbol)


def sending(type_: str, request_id: str = "r1", **body: object) -> Step:
    return lambda world: world.send(type_, request_id, **body)


def filling(quantity: str, which: int = 0) -> Step:
    """A part of a resting order is executed, if one rests."""

    def fill(world: World) -> None:
        if len(world.resting) > which:
            world.happens(lambda: world.fill(world.resting[which], D(quantity)))

    return fill


def ending(state: str) -> Step:
    """The exchange, or somebody else, ends a resting order."""

    def end(world: World) -> None:
        if world.resting:
            world.happens(lambda: world.end(world.resting[0], state))

    return end


def refusing(code: str | None, kind: str = "") -> Step:
    """Risk refuses what comes from now on (of one kind of order)."""

    def refuse(world: World) -> None:
        world.refuse = lambda child: code if kind in ("", child.order_type) else None

    return refuse


def sole(world: World) -> str:
    """The id of the only algo."""
    (algo_id,) = world.table
    return algo_id


def _chase(world: World) -> None:
    chase = world.state(sole(world))
    assert chase.outcome == "filled"
    assert chase.total_executed == world.executed == D(1)
    assert [event["filledQty"] for event in world.told("chase_filled")] == [1]


def _twap(total: Decimal) -> Callable[[World], None]:
    def truth(world: World) -> None:
        twap = world.state(sole(world))
        assert twap.outcome == "filled"
        assert twap.total_executed == world.executed
        assert twap.given_up + twap.executed == total, "Σ children + remainder = parent"
        assert twap.filled_lots + len(twap.failures) == len(twap.plan.lots)
        (done,) = world.told("twap_completed")
        assert done["filledQty"] == float(world.executed)

    return truth


def _basket(world: World) -> None:
    basket = world.state(sole(world))
    for leg in basket.legs:
        mine = [order for order in world.orders.values() if order.asked.symbol == leg.plan.symbol]
        assert leg.executed == sum((order.executed for order in mine), D(0))
        assert leg.cost == sum((order.cost for order in mine), D(0))
        assert 0 <= leg.left < D(5)
    assert len(world.told("twap_basket_completed")) == 1


CHASE = Scenario(
    (
        passing(10),
        sending("chase", symbol="BTCUSDT", side="BUY", quantity=1, leverage=5, minIntervalMs=0),
        filling("0.2"),
        quoting("100.5", "100.7"),
        passing(300),
        ending("cancelled"),
        passing(1_500),
        lambda world: world.control("pause", token="a"),
        passing(100),
        lambda world: world.control("resume", token="b"),
        passing(1_500),
        filling("0.3"),
        refusing("INFRA_OVERLOADED"),
        ending("expired"),
        passing(3_000),
        refusing(None),
        passing(5_000),
        filling("0.5"),
        passing(1_000),
    ),
    _chase,
)
TWAP = Scenario(
    (
        passing(10),
        sending(
            "twap", symbol="BTCUSDT", side="BUY", quantity=1, lots=4, durationMinutes=1, leverage=5, priceLimit=101
        ),
        filling("0.1"),
        passing(9_500),
        quoting("101.5", "101.6"),
        passing(20_000),
        quoting("100.0", "100.1"),
        passing(8_000),
        lambda world: world.control("pause", token="a"),
        passing(4_000),
        lambda world: world.control("resume", token="b"),
        passing(6_000),
        refusing("INSUFFICIENT_MARGIN"),
        passing(20_000),
        refusing(None),
        passing(3_000),
        ending("cancelled"),
        passing(60_000),
    ),
    _twap(D(1)),
)
TWAP_BASKET = Scenario(
    (
        passing(10),
        sending(
            "twap_basket",
            legs=[
                {"symbol": "BTCUSDT", "side": "BUY", "sizeUsdt": 300, "leverage": 5},
                {"symbol": "ETHUSDT", "side": "SELL", "sizeUsdt": 200, "leverage": 5},
            ],
            lots=3,
            durationMinutes=1,
            irregular=True,
            jitter=True,
        ),
        filling("0.5"),
        passing(10_000),
        quoting("100.3", "100.4", "ETHUSDT"),
        passing(15_000),
        filling("0.2", 1),
        passing(80_000),
    ),
    _basket,
    ("BTCUSDT", "ETHUSDT"),
)


def holding(quantity: str) -> Step:
    return lambda world: world.hold(quantity)


def _trail_stop(world: World) -> None:
    stop = world.state(sole(world))
    assert stop.outcome == "filled"
    assert (stop.extreme, stop.triggered) == (D("110.05"), D("108.55"))
    assert world.positions["BTCUSDT"] == 0
    assert world.executed == D("1.5"), "the position as it was then, and no more"
    told = world.told("trail_stop_triggered")
    assert [event["closeSuccess"] for event in told][-1] is True
    assert all(event["closeSuccess"] is False for event in told[:-1])


TRAIL_STOP = Scenario(
    (
        passing(10),
        holding("1"),
        sending("trail_stop", positionId="pos_BTCUSDT_1", callbackPct=1, activationPrice=105),
        passing(500),
        quoting("103", "103.1"),
        passing(500),
        quoting("108", "108.1"),
        passing(500),
        quoting("110", "110.1"),
        passing(500),
        holding("1.5"),
        lambda world: world.control("pause", token="a"),
        passing(500),
        quoting("109", "109.1"),
        lambda world: world.control("resume", token="b"),
        passing(500),
        refusing("REDUCE_ONLY_REJECTED"),
        quoting("108.5", "108.6"),
        passing(700),
        refusing(None),
        lambda world: setattr(world, "expires", D("0.4")),
        passing(700),
        lambda world: setattr(world, "expires", None),
        passing(5_000),
    ),
    _trail_stop,
)


def _scalper(world: World) -> None:
    scalper = world.state(sole(world))
    assert scalper.outcome == "cancelled"
    bought = sum((o.executed for o in world.orders.values() if o.asked.side == "BUY"), D(0))
    sold = world.executed - bought
    assert scalper.net == bought - sold == world.positions["BTCUSDT"] == 0, "what it opened is closed"
    fills = scalper.long.slots, scalper.short.slots
    assert sum(slot.fills for leg in fills for slot in leg) == scalper.fill_count == len(world.told("scalper_filled"))
    assert scalper.fill_count >= 4
    (end,) = world.told("scalper_cancelled")
    assert end["closedPositions"] is True
    assert world.hash[NAMES.algos(ACCOUNT)] == {}, "no layer is shown any more"


def cancelling_scalper(world: World) -> None:
    world.send("scalper_cancel", request_id="c", scalperId=sole(world), closePositions=True)


SCALPER = Scenario(
    (
        passing(10),
        sending(
            "scalper",
            symbol="BTCUSDT",
            startSide="LONG",
            childCount=2,
            longOffsetPct=0.2,
            shortOffsetPct=0.2,
            longSizeUsd=100,
            shortSizeUsd=100,
            leverage=5,
            longMaxPrice=103,
        ),
        passing(200),
        filling("0.499"),
        passing(300),
        quoting("100.4", "100.5"),
        passing(300),
        filling("0.499"),
        passing(300),
        quoting("104", "104.1"),
        passing(1_000),
        filling("0.2"),
        quoting("100", "100.1"),
        passing(31_000),
        lambda world: world.control("pause", token="a"),
        passing(500),
        lambda world: world.control("resume", token="b"),
        passing(500),
        refusing("INSUFFICIENT_MARGIN"),
        filling("0.499"),
        passing(3_000),
        refusing(None),
        passing(3_000),
        filling("0.499", 1),
        passing(300),
        cancelling_scalper,
        passing(5_000),
    ),
    _scalper,
)
SCENARIOS = {"chase": CHASE, "twap": TWAP, "twap_basket": TWAP_BASKET, "trail_stop": TRAIL_STOP, "scalper": SCALPER}
