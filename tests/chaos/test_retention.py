"""Retention takes history, not state: after it, killed writers find the same books, and nothing is done twice."""

import asyncio
import uuid

import pytest
from tests.chaos.conftest import Broken
from tests.e2e.test_opposite_accounts import ORDER, account_with, command, placements

from pms_algos.adapters import store
from pms_cli.books import settled_books, sim_state
from pms_cli.commands.send import request
from pms_cli.ledgers import check_ledgers
from pms_cli.system.place import Place
from pms_common.clock import now_ms
from pms_common.db import DAY_MS, Retention, connect, create_engine
from pms_orders.adapters.months import Months
from pms_orders.adapters.replay import replay
from pms_orders.adapters.retention import remove_orders

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
WRITERS = ("orders", "risk", "algos")
LEFT = """
    SELECT (SELECT count(*) FROM pms_orders.orders), (SELECT count(*) FROM pms_orders.fills),
      (SELECT count(*) FROM pms_risk.fills), (SELECT count(*) FROM pms_risk.ledger)
"""


async def left(place: Place) -> tuple[int, ...]:
    """Orders and their executions in the order service's tables; executions and entries in the books."""
    connection = await connect(place.database)
    try:
        return tuple(await connection.fetchrow(LEFT))
    finally:
        await connection.close()


async def age(place: Place) -> None:
    """What the services do when all that ended today is older than the history is kept."""
    engine = create_engine(place.database)

    def later_ms() -> int:
        return now_ms() + 200 * DAY_MS

    for remove in (remove_orders, store.remove_ended):
        await Retention(engine, 90, later_ms, remove).sweep(batch=2, pause_s=0)
    await Months(engine, 90, later_ms).look()
    assert (await replay(engine, 0, now_ms())).differing == {}
    await engine.dispose()


async def restarted(broken: Broken) -> None:
    """`kill -9` of the writers, and their return."""
    place = broken.place
    before = {service: await _epoch(place, service) for service in WRITERS}
    for service in WRITERS:
        broken.kill(service)
    async with asyncio.timeout(60):
        for service in WRITERS:
            while await _epoch(place, service) == before[service]:  # noqa: ASYNC110 (the database is asked)
                await asyncio.sleep(0.05)


async def _epoch(place: Place, service: str) -> int:
    connection = await connect(place.database)
    try:
        return int(await connection.fetchval("SELECT epoch FROM pms_meta.epochs WHERE service = $1", service))
    finally:
        await connection.close()


async def test_r08_books_and_idempotency_outlive_the_history(broken: Broken) -> None:
    place = broken.place
    account, position = await account_with(place, "BUY")
    low = int(float((await sim_state(place))["markets"]["BTCUSDT"]["ask"]) * 0.97)
    resting = await command(place, "limit", **ORDER, subAccountId=account, side="BUY", quantity=0.01, price=low)
    traded = {**ORDER, "requestId": uuid.uuid4().hex, "subAccountId": account, "side": "BUY", "quantity": 0.01}
    first = await request(place, "trade", {**traded, "waitFor": "final"}, 60)
    assert first is not None and first["success"]
    books = await settled_books(place)
    assert books.equal and books.executions >= 2
    orders, fills, booked, entries = await left(place)
    await age(place)
    assert await left(place) == (1, 0, booked, entries), f"of {orders} orders the resting one is left, of the books all"
    await restarted(broken)

    sent = len(await placements(place))
    again = await request(place, "trade", {**traded, "waitFor": "final"}, 60)
    assert again == first and len(await placements(place)) == sent, "the mark of 24 hours is no history"
    after = await settled_books(place)
    assert after.equal and after.positions == books.positions and after.house == books.house
    assert (await left(place))[2:] == (booked, entries), "no execution was booked again"
    assert await check_ledgers(place.database) == []
    await command(place, "cancel", clientOrderId=resting["clientOrderId"])
    await command(place, "close", positionId=position, waitFor="final")
    assert fills and (await settled_books(place)).equal
