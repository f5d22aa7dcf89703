"""New risk waits while risk has no leader; what lessens it does not."""

import asyncio

import redis.asyncio
from tests.integration.pms_orders.desk import WAIT_S, Desk

from pms_common.lease.record import Store
from pms_common.names import Names
from pms_orders.app.supervision import Supervision


async def test_new_risk_waits_while_risk_has_no_leader_and_closes_and_cancels_pass(desk: Desk) -> None:
    resting, held = await desk.place("r1"), await desk.place("m1", order_type="MARKET")
    await desk.until_state(resting, "active")
    await desk.until_state(held, "filled")
    risk = Store(desk.redis, desk.names.lease("risk"), "risk-1")
    await risk.take((await risk.look())[1])  # and never renewed: it is killed
    async with asyncio.timeout(WAIT_S):
        while "risk_has_no_leader" not in desk.process.log:  # noqa: ASYNC110 (the log is read)
            await asyncio.sleep(0.1)
    waits = await desk.place("r2")
    close = await desk.place("c1", order_type="MARKET", side="SELL", reduce_only=True)
    await desk.cancel(resting)
    await desk.until_state(close, "filled")
    await desk.until_state(resting, "cancelled")
    assert await desk.sim.placements(waits.client_order_id) == 0
    async with asyncio.timeout(WAIT_S):
        while desk.state(waits) != "active":
            await risk.renew()
            await desk._read(200)


async def test_a_lease_record_that_redis_has_lost_is_no_leader(redis_url: str, names: Names) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    key = names.lease("risk")
    told: list[bool] = []
    supervision = Supervision(Store(client, key), told.append)
    await supervision.look()
    assert told == []  # risk has never led: nobody has approved anything
    risk = Store(client, key, "risk-1")
    await risk.take((await risk.look())[1])
    await supervision.look()
    await risk.release(idle=True)
    await supervision.look()
    assert told == [False]
    await client.delete(key)
    await supervision.look()
    assert told == [False]
    await risk.take((await risk.look())[1])
    await supervision.look()
    assert told == [False, True]
    await client.aclose()
