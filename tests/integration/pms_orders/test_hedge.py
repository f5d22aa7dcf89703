"""Hedge mode with the running service: each leg is opened and closed by itself, and no reduce-only flag is sent."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from tests.integration.pms_orders.conftest import desk_at
from tests.integration.pms_orders.desk import Desk, simulator
from yarl import URL

from pms_common.clock import now_ms
from pms_common.contracts.bus.orders import ExchangeAccount
from pms_common.names import Names
from pms_orders.adapters.binance.signing import Signer

LEGS = ("LONG", "SHORT")
OPENS = {"LONG": "BUY", "SHORT": "SELL"}
CLOSES = {"LONG": "SELL", "SHORT": "BUY"}


async def set_hedge_mode(address: str) -> None:
    """As the account's owner does it, before the service starts."""
    signer = Signer("sim-key", "sim-secret")
    query = signer.query({"dualSidePosition": "true"}, now_ms())
    url = URL(f"{address}/fapi/v1/positionSide/dual?{query}", encoded=True)
    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": signer.api_key}) as http, http.post(url) as answer:
        assert answer.status == 200, await answer.text()


@pytest.fixture
async def hedged(names: Names, redis_url: str, database: str) -> AsyncIterator[Desk]:
    """An order service in hedge mode on an account in hedge mode."""
    with simulator() as address:
        await set_hedge_mode(address["rest"])
        async with desk_at(address, names, redis_url, database, PMS_POSITION_MODE="hedge") as made:
            yield made


async def trade(desk: Desk, request: str, leg: str, side: str, quantity: str, **more: Any) -> list[Any]:
    """A market order that is filled; what was told of its fills."""
    terms = {"order_type": "MARKET", "position_side": leg, "side": side, "quantity": quantity, **more}
    order = await desk.place(request, **terms)
    told = await desk.until_state(order, "filled")
    assert told.order.position_side == leg and told.order.executed_quantity == Decimal(quantity)
    fills = [update for update in desk.of(order) if update.fill is not None]
    assert sum(update.fill.quantity for update in fills if update.fill) == Decimal(quantity)
    return fills


def held(desk: Desk) -> dict[str, Decimal]:
    """What the service says the exchange holds, by leg."""
    legs: dict[str, Decimal] = {}
    for update in desk.updates:
        if isinstance(update, ExchangeAccount):
            if update.complete:
                legs.clear()
            legs.update({position.position_side: position.quantity for position in update.positions})
    return {leg: quantity for leg, quantity in legs.items() if quantity}


async def test_both_legs_are_opened_and_closed_each_by_itself(hedged: Desk) -> None:
    """R-16, R-21: opposite legs hide nothing from each other, and a closing order is not refused for the other leg."""
    await trade(hedged, "long", "LONG", OPENS["LONG"], "0.030")
    await trade(hedged, "short", "SHORT", OPENS["SHORT"], "0.020")
    await hedged.hear(lambda desk: held(desk) == {"LONG": Decimal("0.030"), "SHORT": Decimal("-0.020")})
    closing = {"reduce_only": True, "reduce_only_on_venue": True}
    await trade(hedged, "less", "LONG", CLOSES["LONG"], "0.010", **closing)
    await hedged.hear(lambda desk: held(desk) == {"LONG": Decimal("0.020"), "SHORT": Decimal("-0.020")})
    resting = await hedged.place(
        "rests", position_side="SHORT", side="BUY", price="63000.0", quantity="0.020", **closing
    )
    await hedged.until_state(resting, "active")  # a closer that rests does not hinder the other leg's
    assert all(update.fill.realized_pnl for update in await trade(hedged, "flat", "LONG", "SELL", "0.020", **closing))
    await hedged.sim.market("62999.9", "63000.0")
    told = await hedged.until_state(resting, "filled")
    assert told.fill is not None and told.order.position_side == "SHORT"
    await hedged.hear(lambda desk: not held(desk))
    asked = [item for item in await hedged.sim.get("/sim/requests") if item["name"] == "order.place"]
    assert [item["params"]["positionSide"] for item in asked] == ["LONG", "SHORT", "LONG", "SHORT", "LONG"]
    assert not any("reduceOnly" in item["params"] for item in asked)
    await hedged.drained()


async def test_r16_a_restart_knows_both_legs_and_goes_on(hedged: Desk) -> None:
    for leg in LEGS:
        await trade(hedged, f"open-{leg}", leg, OPENS[leg], "0.010")
    await hedged.kill()
    hedged.updates.clear()
    await hedged.start()
    await hedged.hear(lambda desk: held(desk) == {"LONG": Decimal("0.010"), "SHORT": Decimal("-0.010")})
    for leg in LEGS:
        await trade(hedged, f"close-{leg}", leg, CLOSES[leg], "0.010", reduce_only=True)
    await hedged.hear(lambda desk: not held(desk))


async def test_an_order_without_a_leg_is_refused_before_it_is_sent(hedged: Desk) -> None:
    order = await hedged.place("r1", answer=True)
    await hedged.until_state(order, "failed")
    assert (await hedged.result("r1"))["error"].startswith("BOTH is no position side")
    assert await hedged.sim.placements(order.client_order_id) == 0
