"""When the entry of a request is acknowledged: after its effect is kept, and not never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from tests.integration.pms_orders.rig import SERVICE, Rig
from tests.unit.pms_orders.orders import report

from pms_common.clock import now_ms
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder
from pms_common.db import connect
from pms_orders.app.owners import Owners
from pms_orders.domain.order import Operation
from pms_orders.domain.table import Kind

NAME = "PMS_a_LMT_1"


@asynccontextmanager
async def no_commits(rig: Rig) -> AsyncIterator[None]:
    """The database takes no row of an order meanwhile."""
    await rig.commits.flush()
    blocker = await connect(rig.database)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE pms_orders.orders IN EXCLUSIVE MODE")
        yield
    await blocker.close()


async def active(rig: Rig, name: str = NAME, **fields: Any) -> None:
    await rig.accepted(name, **fields)
    rig.manager.report([report(Kind.NEW, client_order_id=name)])


async def test_an_amendment_of_an_ended_order_is_acknowledged(rig: Rig) -> None:
    await rig.accepted()
    rig.manager.report([report(Kind.CANCELLED)])
    await rig.amend(NAME, "101")
    await rig.drained()


async def test_an_earlier_amendments_event_does_not_end_the_newest_one(rig: Rig) -> None:
    await active(rig)
    order = rig.tracker.find(NAME)
    assert order is not None
    await rig.amend(NAME, "101")
    await rig.until(lambda: order.wanted_amend)
    rig.depart(order, Operation.AMEND, answered=False)
    await rig.amend(NAME, "102")
    await rig.until(lambda: order.wanted_amend)
    first = report(Kind.AMENDED, event_ms=now_ms(), price=Decimal("101"), quantity=Decimal("10"))
    rig.manager.report([first])
    await rig.commits.flush()
    assert await rig.pending() == 1
    rig.depart(order, Operation.AMEND)
    rig.manager.report([report(Kind.AMENDED, event_ms=now_ms(), price=Decimal("102"), quantity=Decimal("10"))])
    await rig.drained()


async def test_an_amendment_that_a_cancel_replaces_is_acknowledged(rig: Rig) -> None:
    await active(rig)
    await rig.amend(NAME, "101")
    await rig.until(lambda: rig.tracker.find(NAME).wanted_amend)  # type: ignore[union-attr]
    await rig.ask(rig.names.cmd("cancel"), {"requestId": "c1", "clientOrderId": NAME, "waitFor": "ack"})
    await rig.drained()


CANCELS = {
    "cancel": {"requestId": "c1", "clientOrderId": NAME, "waitFor": "ack"},
    "cancel_all": {"requestId": "c1", "subAccountId": "a"},
    "trading_state": {"requestId": "c1", "state": "halted", "cancel": True, "reason": "test"},
}


@pytest.mark.parametrize("command", CANCELS)
async def test_a_cancel_that_was_not_sent_before_the_end_is_sent_by_the_successor(
    rig: Rig, names: Any, redis_url: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pms_orders.app.cancels.WAIT_S", 0.1)
    await active(rig)
    order = rig.tracker.find(NAME)
    assert order is not None
    stream = names.op(command) if command == "trading_state" else names.cmd(command)
    async with no_commits(rig):
        await rig.ask(stream, CANCELS[command])
        await rig.until(lambda: order.wanted_cancel)
        await asyncio.sleep(0.2)
        assert await rig.pending() == 1, "acknowledged before anything keeps the cancel"
    await rig.drained()
    await rig.kill()
    successor = await Rig(names, redis_url, rig.database).start()
    restored = successor.tracker.find(NAME)
    assert restored is not None and restored.wanted_cancel
    await successor.kill()
    await rig.start()  # for the fixture to end


async def test_an_answered_cancel_that_nothing_keeps_is_done_again_by_the_successor(
    rig: Rig, names: Any, redis_url: str
) -> None:
    await active(rig)
    async with no_commits(rig):
        await rig.ask(names.cmd("cancel"), CANCELS["cancel"])
        assert (await rig.result("c1"))["success"]
        await rig.kill()
    successor = await Rig(names, redis_url, rig.database).start()
    restored = successor.tracker.find(NAME)
    assert restored is not None
    await successor.until(lambda: restored.wanted_cancel)
    await successor.drained()
    await successor.kill()
    await rig.start()


async def test_a_known_order_that_is_asked_for_again_is_told_again(rig: Rig) -> None:
    await active(rig, notional_cap="1100")
    asked = rig.tracker.find(NAME)
    assert asked is not None
    entry = await rig.ask(rig.names.requests(SERVICE), asked.place)
    await rig.drained()
    last = (await rig.told_of(NAME))[-1]
    assert (last.cause, last.key) == ("snapshot", f"{NAME}:snapshot:{entry}")
    assert last.order.state == "active" and last.order.notional_cap == 1100


async def test_a_cancel_of_an_order_that_has_ended_is_told_how(rig: Rig) -> None:
    await active(rig)
    rig.manager.report([report(Kind.CANCELLED)])
    cancel = CancelOrder(client_order_id=NAME, account_id="a", symbol="BTCUSDT")
    entry = await rig.ask(rig.names.changes(SERVICE), cancel)
    await rig.drained()
    last = (await rig.told_of(NAME))[-1]
    assert (last.key, last.order.state) == (f"{NAME}:snapshot:{entry}", "cancelled")


async def test_cancel_all_does_not_wait_for_what_has_ended_and_names_its_warnings(rig: Rig) -> None:
    await active(rig)
    order = rig.tracker.find(NAME)
    assert order is not None
    rig.manager.report([report(Kind.CANCELLED)])
    await asyncio.wait_for(rig.cancels._cancelled([item for item in [order] if not item.final]), 0.5)
    assert not rig.manager.watchers
    await rig.ask(rig.names.cmd("cancel_all"), {"requestId": "c2", "subAccountId": "a", "colour": "red"})
    assert (await rig.result("c2"))["warnings"]
    await rig.drained()


async def test_r17_the_order_that_a_request_leads_to_is_known_by_it_and_no_other(rig: Rig) -> None:
    """What follows a replaced order may be at the exchange before the journal has it: the amendment names it."""
    streams = (rig.names.requests(SERVICE), rig.names.urgent(SERVICE), rig.names.changes(SERVICE))
    terms: dict[str, Any] = {"symbol": "BTCUSDT", "price": Decimal(100), "quantity": Decimal(1)}
    amend = AmendOrder(client_order_id="PMS_amended", account_id="a", replace_as="PMS_following", **terms)
    await rig.ask(streams[2], amend)
    await rig.ask(streams[1], CancelOrder(client_order_id="PMS_cancelled", account_id="a"))
    owners = Owners(rig.engine, rig.bus.redis, streams)
    names = {"PMS_following", "PMS_amended", "PMS_cancelled"}
    assert (await owners.look_up(names)).requested == {"PMS_following"}
