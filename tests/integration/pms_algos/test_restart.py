"""R-19: algos survive kill -9: no second child, Σ children + remainder = parent.

Each test stops a real process at one point of an algo's life, lets the world go on without it, and starts it again.
That it holds at every point is tried in tests/unit/pms_algos/test_crashes.py.
"""

import asyncio
import json
import random
from decimal import Decimal

import pytest
from tests.integration.pms_algos.conftest import ACCOUNT, AT_MARKET, HOLDING, SPEC, World
from tests.services import PATIENCE_S, ServiceProcess

from pms_common.clock import now_ms

D = Decimal


async def started(algos: ServiceProcess, world: World, **changes: object) -> str:
    algos.start()
    await world.chase("r1", **changes)
    result = await world.result("r1")
    assert result["success"] is True, result
    return str(result["chaseId"])


async def test_r19_killed_while_its_child_rests_goes_on_with_the_same_child_and_anchor(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    await started(algos, world, maxDistancePct=3)
    market.update(bid=101.0, ask=101.1)
    await world.until(lambda: world.amends)
    algos.kill()
    await world.fill(world.alive[0], "0.3")
    market.update(bid=102.0, ask=102.1)
    algos.start()
    await world.until(lambda: len(world.amends) == 2)
    assert world.amends[1].price == D("102.0")
    assert len(world.children) == 1
    market.update(bid=103.2, ask=103.3)  # 3.2 % from where it began, 1.2 % from where it resumed
    await world.until(lambda: world.events("chase_cancelled"))
    (event,) = await world.events("chase_cancelled")
    assert (event["reason"], event["filledQty"]) == ("distance_breached", 0.3)


async def test_r19_filled_while_it_was_down_ends_as_filled(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    await started(algos, world)
    algos.kill()
    await world.fill(world.alive[0], "0.3")
    await world.fill(world.alive[0], "0.7")
    algos.start()
    await world.until(lambda: world.events("chase_filled"))
    await asyncio.sleep(0.3)
    assert len(world.children) == 1
    assert len(world.asked) == 1


async def test_r19_cancelled_while_it_was_down_places_the_remainder_once(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    await started(algos, world)
    first = world.alive[0]
    algos.kill()
    await world.fill(first, "0.3")
    await world.cancel(first)
    algos.start()
    await world.until(lambda: len(world.children) == 2)
    second = world.children[world.alive[0]]
    assert second.order.quantity == D("0.7")
    algos.kill()
    algos.start()
    await asyncio.sleep(1.5)
    assert len(world.children) == 2
    await world.fill(world.alive[0], "0.7")
    await world.until(lambda: world.events("chase_filled"))
    assert world.executed == D(1)


async def test_r19_killed_before_its_child_was_answered_asks_for_the_same_child(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    world.silent = True  # the request lies in risk's stream
    algos.start()
    await world.chase("r1")
    await world.until(lambda: world.asked)
    algos.kill()
    world.silent = False
    algos.start()
    result = await world.result("r1")
    assert result["success"] is True
    assert len({order.client_order_id for order in world.asked}) == 1
    assert len(world.children) == 1
    await world.client.delete(world.names.result("r1"))
    await world.chase("r1")
    assert (await world.result("r1"))["chaseId"] == result["chaseId"]
    assert len(world.children) == 1


async def test_killed_before_its_child_was_answered_and_started_too_late_says_so_and_places_nothing(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    world.silent = True
    algos.start()
    await world.until(lambda: world.lookups)
    await world.chase("r1", expiresAt=now_ms() + 1_500)
    await world.until(lambda: world.asked)
    algos.kill()
    world.silent = False
    await asyncio.sleep(1.6)
    algos.start()
    assert (await world.result("r1"))["errorCode"] == "EXPIRED_COMMAND"
    assert world.children == {}
    assert len({order.expires_at_ms for order in world.asked}) == 1


async def test_killed_between_its_save_and_its_mark_answers_with_the_running_chase_however_late(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    chase_id = await started(algos, world)
    algos.kill()
    await world.client.delete(world.names.marks("algos"), world.names.result("r1"))
    await world.chase("r1", expiresAt=now_ms() - 1)
    algos.start()
    result = await world.result("r1")
    assert (result["success"], result.get("chaseId")) == (True, chase_id)
    assert len(world.children) == 1


async def test_r19_killed_in_the_middle_of_a_cancel_finishes_it_and_answers(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    chase_id = await started(algos, world)
    world.silent = True
    await world.send("chase_cancel", requestId="c1", chaseId=chase_id)
    await world.until(lambda: world.cancels)
    algos.kill()
    world.silent = False
    algos.start()
    assert (await world.result("c1"))["status"] == "ended"
    assert world.alive == []
    assert [event["reason"] for event in await world.events("chase_cancelled")] == ["cancelled"]
    await asyncio.sleep(1.2)
    assert len(world.children) == 1


async def test_stopping_the_process_is_not_a_cancel(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    await started(algos, world)
    assert algos.stop() == 0
    assert world.cancels == []
    assert len(world.alive) == 1
    algos.start()
    market.update(bid=99.0, ask=99.1)
    await world.until(lambda: world.amends)
    assert len(world.children) == 1


async def test_r19_a_twap_killed_between_and_within_lots_executes_each_once(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    body = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 20, "lots": 100, "durationMinutes": 1, "leverage": 5}
    await world.send("twap", requestId="r1", subAccountId="acc", expiresAt=now_ms() + PATIENCE_S * 1000, **body)
    twap_id = (await world.result("r1"))["twapId"]
    for lots in (2, 4):
        await world.until(lambda lots=lots: world.executed >= D("0.2") * lots)
        algos.kill()
        algos.start()
    await world.until(lambda: world.executed >= D("1.2"))
    await world.send("twap_cancel", requestId="c1", twapId=twap_id)
    assert (await world.result("c1"))["status"] == "ended"
    assert world.alive == []
    (event,) = {event["filledQty"]: event for event in await world.events("twap_cancelled")}.values()
    assert D(str(event["filledQty"])) == world.executed
    assert world.most_alive == 1
    assert len({order.client_order_id for order in world.asked}) == len(world.children)


async def test_r19_a_basket_killed_between_and_within_lots_executes_each_lot_of_each_leg_once(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    legs = [
        {"symbol": "BTCUSDT", "side": "BUY", "sizeUsdt": 2_000, "leverage": 5},
        {"symbol": "ETHUSDT", "side": "SELL", "sizeUsdt": 3_000, "leverage": 5},
    ]
    body = {"subAccountId": "acc", "legs": legs, "lots": 100, "durationMinutes": 1}
    await world.send("twap_basket", requestId="r1", expiresAt=now_ms() + PATIENCE_S * 1000, **body)
    basket_id = (await world.result("r1"))["twapBasketId"]
    for executed in ("1", "2"):
        await world.until(lambda executed=executed: world.executed >= D(executed))
        algos.kill()
        algos.start()
    await world.until(lambda: world.executed >= D(3))
    await world.send("twap_basket_cancel", requestId="c1", twapBasketId=basket_id)
    assert (await world.result("c1"))["status"] == "ended"
    assert world.alive == []
    (event,) = await world.events("twap_basket_cancelled")
    cost = dict.fromkeys(("BTCUSDT", "ETHUSDT"), D(0))
    for child in world.children.values():
        cost[child.order.symbol] += child.executed * AT_MARKET
    assert {leg["symbol"]: D(str(leg["filledSize"])) for leg in event["legs"]} == cost
    assert all(cost.values())
    assert world.most_alive <= len(legs)
    assert len({order.client_order_id for order in world.asked}) == len(world.children)


async def test_r19_a_trailing_stop_keeps_its_extreme_and_closes_once_though_killed_as_it_fires(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    world.account = HOLDING
    algos.start()
    await world.send("trail_stop", requestId="r1", positionId="pos_1", callbackPct=1, subAccountId="acc")
    assert (await world.result("r1"))["success"] is True
    market.update(bid=110.0, ask=110.1)
    await world.until(lambda: _extreme(world, 110.05))
    algos.kill()  # perhaps before that is durable
    market.update(bid=109.5, ask=109.6)
    algos.start()
    await world.until(lambda: world.lookups == 2)
    await asyncio.sleep(0.5)
    assert world.asked == []
    world.silent = True
    market.update(bid=108.8, ask=108.9)  # 1.1 % below the best it has seen, 0.6 % below what it saw since
    await world.until(lambda: world.asked)
    algos.kill()
    world.silent = False
    algos.start()
    await world.until(lambda: world.events("trail_stop_triggered"))
    assert world.executed == D("0.5")
    assert len(world.children) == 1
    assert len({order.client_order_id for order in world.asked}) == 1


async def _extreme(world: World, price: float) -> bool:
    shown = await world.client.hvals(world.names.algos("acc"))
    return any(json.loads(item)["extremePrice"] == price for item in shown)


async def test_r19_a_scalper_killed_with_both_legs_at_the_exchange_keeps_its_layers(
    algos: ServiceProcess, world: World, market: dict[str, float]
) -> None:
    algos.start()
    body = {"symbol": "BTCUSDT", "startSide": "LONG", "quantity": 0.5, "leverage": 5, "baseOffsetPct": 0.2}
    await world.send("scalper", requestId="r1", subAccountId="acc", expiresAt=now_ms() + PATIENCE_S * 1000, **body)
    scalper_id = (await world.result("r1"))["scalperId"]
    await world.until(lambda: world.alive)
    world.account = HOLDING
    await world.fill(world.alive[0], "0.5")
    await world.account_is("ACTIVE")
    await world.until(lambda: len(world.alive) == 2)
    both = set(world.alive)
    algos.kill()
    algos.start()
    await world.until(lambda: world.lookups == 2)
    await asyncio.sleep(0.5)
    assert set(world.alive) == both
    (closer,) = (name for name in both if world.children[name].order.side == "SELL")
    algos.kill()
    world.account = ACCOUNT
    await world.fill(closer, "0.5")
    algos.start()
    await world.until(lambda: _fills(world, 2))
    await world.send("scalper_cancel", requestId="c1", scalperId=scalper_id)
    assert (await world.result("c1"))["status"] == "ended"
    assert world.alive == []
    assert world.executed == D(1)
    assert len({order.client_order_id for order in world.asked}) == len(world.children)


async def _fills(world: World, count: int) -> bool:
    return len({event["clientOrderId"] for event in await world.events("scalper_filled")}) == count


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1])
async def test_r19_killed_again_and_again_while_the_market_moves(
    algos: ServiceProcess, world: World, market: dict[str, float], seed: int
) -> None:
    """Random fills, outside cancels and kills until it is filled: never two live children, never more than ordered."""
    chance = random.Random(seed)
    await started(algos, world, minIntervalMs=0)

    async def live() -> None:
        while world.executed < 1:
            await asyncio.sleep(chance.uniform(0.02, 0.2))
            market["bid"] = round(market["bid"] + chance.choice([-0.3, -0.1, 0.1, 0.3]), 1)
            market["ask"] = round(market["bid"] + 0.1, 1)
            for child_id in world.alive:
                left = world.children[child_id].order.quantity - world.children[child_id].executed
                if chance.random() < 0.06 and left * D("90") > SPEC.min_notional:  # less would end it as dust
                    await world.cancel(child_id)
                elif chance.random() < 0.2:
                    await world.fill(child_id, str(min(left, D(chance.randint(1, 60)) / 1000)))

    living = asyncio.create_task(live())
    for _ in range(6):
        lookups = world.lookups
        algos.kill()
        algos.start()
        await world.until(lambda lookups=lookups: world.lookups > lookups)
        await asyncio.sleep(chance.uniform(0, 1.2))
    await asyncio.wait_for(living, PATIENCE_S)
    await world.until(lambda: world.events("chase_filled"))
    assert world.most_alive == 1
    assert world.executed == D(1)
    assert {event["filledQty"] for event in await world.events("chase_filled")} == {1}
    names = {order.client_order_id for order in world.asked}
    assert len(names) == len(world.children)
