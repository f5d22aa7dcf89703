"""The end of a scalper: what it opened is closed where that is asked for, ever later while it is refused."""

from itertools import pairwise

import pytest
from tests.unit.pms_algos.build import D
from tests.unit.pms_algos.scalper_steps import buys, fill, started
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.world import World

from pms_common.contracts.bus.risk import ChildOrder


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
