"""R-04, R-11 to R-15, R-20: events lost, streams dead or silent, others on the account; the truth in the end."""

import asyncio
import time
import warnings
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from tests.integration.pms_orders.desk import ACCOUNT, Desk

from pms_common.contracts.bus.exchange import ForeignOrder, Reconciled
from pms_common.contracts.bus.orders import ExchangeAccount, OrderUpdate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what its own dependencies have deprecated
    from binance import AsyncClient  # type: ignore[import-untyped]

pytestmark = pytest.mark.filterwarnings("ignore")  # the naive client's own deprecations
SYMBOL = "BTCUSDT"


@pytest.fixture
async def naive(desk: Desk) -> AsyncIterator[Any]:
    """python-binance on the same account, with nothing but its address set."""
    client = AsyncClient("sim-key", "sim-secret")
    client.FUTURES_URL = f"{desk.sim.address['rest']}/fapi"
    yield client
    await client.close_connection()


def fills(desk: Desk) -> list[str]:
    return [update.key for update in desk.updates if isinstance(update, OrderUpdate) and update.fill is not None]


def others(desk: Desk) -> list[ForeignOrder]:
    return [update for update in desk.updates if isinstance(update, ForeignOrder) and update.fill is not None]


async def test_r11_any_event_that_is_missing_is_healed_within_five_seconds(desk: Desk) -> None:
    filled = await desk.place("r1", price="63999.0")
    ended = await desk.place("r2")
    for order in (filled, ended):
        await desk.until_state(order, "active")
    await asyncio.sleep(2)  # from now on the orders have not changed lately
    await desk.sim.fault("drop_event", event="ORDER_TRADE_UPDATE", count=3)
    await desk.sim.fault("drop_event", event="TRADE_LITE", count=1)
    await desk.sim.fault("drop_event", event="ACCOUNT_UPDATE", count=1)
    before_s = time.monotonic()
    await desk.sim.market("63990.0", "63990.1")
    await desk.sim.fault("foreign_order", symbol=SYMBOL, side="BUY", quantity="0.003")
    await desk.until_state(filled, "filled")
    await desk.hear(lambda heard: any(u.fill and u.fill.quantity == Decimal("0.003") for u in others(heard)))
    await desk.hear(
        lambda heard: any(
            position.quantity == Decimal("0.013")
            for update in heard.updates
            if isinstance(update, ExchangeAccount)
            for position in update.positions
        )
    )
    assert time.monotonic() - before_s < 5 + 5  # and as much again for a machine that is busy
    assert len(fills(desk)) == len(set(fills(desk))) == 1


async def test_r12_r14_a_dead_or_silent_stream_is_replaced_when_orders_move(desk: Desk, naive: Any) -> None:
    await desk.sim.fault("half_open", sockets="private", pongs=True)
    first = await desk.place("r1")
    await desk.until_state(first, "active")
    second = await desk.place("r2", price="63999.0")
    await desk.until_state(second, "active")
    await desk.sim.fault("expire_listen_key")
    third = await desk.place("r3")
    await desk.until_state(third, "active")
    await naive.futures_stream_close(await naive.futures_stream_get_listen_key())  # what its users call at their end
    await desk.sim.market("63990.0", "63990.1")
    await desk.until_state(second, "filled")
    fourth = await desk.place("r4")
    await desk.until_state(fourth, "active")
    assert len(fills(desk)) == len(set(fills(desk))) == 1


async def test_r04_a_cancel_during_an_outage_ends_as_the_exchange_says(desk: Desk) -> None:
    filled = await desk.place("r1", price="63999.0")
    ended = await desk.place("r2")
    for order in (filled, ended):
        await desk.until_state(order, "active")
    outage_s = 3
    for transport in ("ws", "rest"):
        await desk.sim.fault("error", transport=transport, seconds=outage_s, code=-1001)
    await desk.sim.fault("disconnect", sockets="all")
    commands = [
        asyncio.create_task(desk.command("cancel", requestId=name, orderId=order.client_order_id, subAccountId=ACCOUNT))
        for name, order in (("c1", filled), ("c2", ended))
    ]
    await desk.sim.market("63990.0", "63990.1")
    await desk.until_state(filled, "filled")
    await desk.until_state(ended, "cancelled")
    answers = [await command for command in commands]
    assert not answers[0]["success"] and answers[0]["details"]["state"] == "filled"
    assert answers[1]["success"] and answers[1]["state"] == "cancelled"
    assert "cancelled" not in desk.causes(filled) and len(set(fills(desk))) == len(fills(desk)) == 1


async def test_r20_others_on_the_account_are_told_and_neither_adopted_nor_in_the_way(desk: Desk, naive: Any) -> None:
    await desk.hear(lambda heard: any(isinstance(update, Reconciled) for update in heard.updates))
    desk.updates.clear()  # what other tests have left on the account
    terms = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    theirs = await naive.futures_create_order(**terms, price="63999.0")
    resting = await naive.futures_create_order(**terms, price="60000.0", newClientOrderId="PMS_their_LMT_own")
    ours = await desk.place("r1", price="63999.0")
    await desk.until_state(ours, "active")
    await desk.sim.market("63990.0", "63990.1")
    await desk.until_state(ours, "filled")
    await desk.hear(lambda heard: [u for u in others(heard) if u.client_order_id == theirs["clientOrderId"]])
    await desk.sim.market("64000.0", "64000.1")
    await desk.sim.fault("adl", symbol=SYMBOL, quantity="0.005")
    await desk.hear(lambda heard: [u for u in others(heard) if u.kind == "adl"])
    await desk.sim.fault("autoclose", symbol=SYMBOL)
    await desk.hear(lambda heard: [u for u in others(heard) if u.kind == "liquidation"])
    await desk.hear(lambda heard: [u for u in heard.updates if isinstance(u, ForeignOrder) and u.kind == "orphan"])
    assert {update.order.client_order_id for update in desk.updates if isinstance(update, OrderUpdate)} == {
        ours.client_order_id
    }
    assert [u.client_order_id for u in others(desk) if u.kind == "other"] == [theirs["clientOrderId"]]
    assert len({update.key for update in others(desk)}) == len(others(desk))
    again = await desk.place("r2")
    await desk.until_state(again, "active")
    placed = await naive.futures_create_order(**terms, price="59000.0")
    found = await naive.futures_get_order(symbol=SYMBOL, orderId=placed["orderId"])
    assert found["status"] == "NEW" and resting["status"] == "NEW"


async def test_r17_r15_a_restart_counts_everything_and_leaves_the_listen_key_to_others(desk: Desk, naive: Any) -> None:
    await desk.sim.fault("foreign_order", symbol=SYMBOL, side="BUY", quantity="0.003", price="50000.0")
    ours = await desk.place("r1")
    await desk.until_state(ours, "active")
    await desk.drained()
    key = await naive.futures_stream_get_listen_key()
    await desk.kill()
    await desk.sim.fault("foreign_order", symbol=SYMBOL, side="SELL", quantity="0.007")
    await desk.start()
    assert await naive.futures_stream_get_listen_key() == key
    await desk.hear(lambda heard: len([u for u in heard.updates if isinstance(u, Reconciled)]) >= 2)
    count = [update for update in desk.updates if isinstance(update, Reconciled)][-1]
    state = next(iter((await desk.sim.get("/sim/state"))["accounts"].values()))
    assert count.orders.total == len(
        [order for order in state["orders"] if order["status"] in ("NEW", "PARTIALLY_FILLED")]
    )
    assert count.orders.matched == 1 and count.trades.quarantined >= 1
    assert any(update.fill and update.fill.quantity == Decimal("0.007") for update in others(desk))
