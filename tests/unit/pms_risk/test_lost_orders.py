"""A reservation lives as long as its order can: neither lost while it waits, nor kept for what nobody knows."""

import asyncio
from typing import Any

from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, snapshot_request
from pms_common.contracts.bus.orders import PlaceOrder
from pms_risk.app.lost_orders import SILENT_MS, LostOrders

from .desk import Desk, update, view


async def sweep(desk: Desk, *, waiting: list[PlaceOrder], known: list[str]) -> bool:
    """One look, with an order service that knows these orders; whether it was asked."""

    async def unconsumed() -> list[PlaceOrder]:
        return waiting

    outbox: Any = desk.paper
    questions = desk.paper.streams.setdefault(desk.names.queries("orders"), [])
    questions.clear()
    looking = asyncio.create_task(
        LostOrders(desk.state, outbox, desk.orders_updates, desk.closings, unconsumed).sweep()
    )
    while not looking.done():
        await asyncio.sleep(0)
        if not questions:
            continue
        token = snapshot_request.decode(questions[-1]).token
        desk.hear(SnapshotBegin(epoch=1, n=1, asker="risk", token=token), redelivered=True)
        for name in known:
            order = view(client_order_id=name, state="placing", exchange_order_id=None, version=0)
            desk.hear(update("snapshot", order), redelivered=True)
        desk.hear(SnapshotEnd(epoch=1, n=1, asker="risk", token=token), redelivered=True)
        await asyncio.sleep(0)
    await looking
    return bool(questions)


def asked() -> Desk:
    desk = Desk()
    desk.orders_updates.completed.set()
    desk.price()
    desk.ask()
    assert desk.account.reserved_margin
    return desk


async def test_what_was_approved_just_now_is_not_asked_about() -> None:
    desk = asked()
    desk.now_ms += SILENT_MS
    assert not await sweep(desk, waiting=[], known=[])
    assert desk.account.reserved_margin


async def test_what_waits_to_be_taken_is_not_asked_about() -> None:
    desk = asked()
    desk.now_ms += SILENT_MS + 1
    assert not await sweep(desk, waiting=desk.placed(), known=[])
    assert desk.account.reserved_margin


async def test_what_waits_in_the_order_service_keeps_its_reservation() -> None:
    desk = asked()
    desk.now_ms += SILENT_MS + 1
    assert await sweep(desk, waiting=[], known=["K"])
    assert desk.account.reserved_margin
    assert not await sweep(desk, waiting=[], known=[]), "it has been heard of"


async def test_what_nobody_knows_is_released() -> None:
    desk = asked()
    desk.now_ms += SILENT_MS + 1
    assert await sweep(desk, waiting=[], known=[])
    assert not desk.account.reserved_margin
    assert not desk.account.orders


async def test_an_order_asked_for_again_after_its_end_is_released() -> None:
    desk = asked()
    desk.hear(update("cancelled", view(client_order_id="K", state="cancelled")))
    desk.ask()
    desk.now_ms += SILENT_MS + 1
    assert await sweep(desk, waiting=[], known=[])
    assert not desk.account.reserved_margin
