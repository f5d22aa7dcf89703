"""R-19: a chase survives kill -9 at any point: no second child, Σ children + remainder = parent.

Each test stops the process at one point of a chase's life, lets the world go on without it, and starts it again.
"""

import asyncio
import random
from decimal import Decimal

import pytest
from tests.integration.pms_algos.conftest import SPEC, World
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
    # Another end, with the same key, may follow a kill between its publication and its commit: the gateway drops it.
    assert {event["filledQty"] for event in await world.events("chase_filled")} == {1}
    names = {order.client_order_id for order in world.asked}
    assert len(names) == len(world.children)
