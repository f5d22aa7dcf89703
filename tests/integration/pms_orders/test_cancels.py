"""The public cancels: orders that are not there yet, a journal that cannot be asked, cancels that have no outcome."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.pms_orders.rig import Rig

from pms_common.db import connect, create_engine

CANCEL = {"requestId": "c1", "clientOrderId": "PMS_a_LMT_1", "subAccountId": "a"}


async def test_r03_a_cancel_that_overtakes_its_order_ends_it_while_the_journal_is_asked(rig: Rig) -> None:
    blocker = await connect(rig.database)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE pms_orders.orders IN ACCESS EXCLUSIVE MODE")
        await rig.ask(rig.names.cmd("cancel"), CANCEL)
        await asyncio.sleep(0.1)
        await rig.place()
    await blocker.close()
    answer = await rig.result("c1")
    assert answer["success"] and answer["state"] == "cancelled"
    await rig.drained()


async def test_a_cancel_is_answered_and_nothing_stops_while_the_journal_cannot_be_read(rig: Rig) -> None:
    await rig.engine.dispose()
    rig.cancels._engine = _nowhere()
    await rig.ask(rig.names.cmd("cancel"), CANCEL)
    answer = await rig.result("c1")
    assert answer["errorCode"] == "INFRA_NOT_READY" and answer["retryable"]
    await rig.drained()


def _nowhere() -> AsyncEngine:
    return create_engine("postgresql+asyncpg://nobody@127.0.0.1:9/nothing")


async def test_an_id_that_is_a_digit_but_no_number_is_not_found(rig: Rig) -> None:
    await rig.ask(rig.names.cmd("cancel"), {**CANCEL, "clientOrderId": "²"})
    answer = await rig.result("c1")
    assert not answer["success"]
    await rig.drained()
