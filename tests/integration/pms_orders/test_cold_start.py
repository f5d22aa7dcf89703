"""R-25: a start with 300 symbols listed, 50 of them changed and 1,000 open orders, within time and weight."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.pms_orders.conftest import empty
from tests.integration.pms_orders.desk import Desk, Simulator, place_order, simulator

from pms_common.contracts.bus.exchange import ForeignOrder, Reconciled, Tally
from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.names import Names
from pms_simulator.domain.catalog import built_in

LISTED, TRADED, CHANGED, ORDERS = 300, 50, 50, 1_000
READY_S = 10.0
MOST_WEIGHT = 600
"""A quarter of the venue's 2,400 a minute."""
WEIGHTS = {
    "GET /fapi/v1/income": 30,
    "GET /fapi/v1/commissionRate": 20,
    **dict.fromkeys(("accountConfig", "symbolConfig", "userTrades"), 5),
}


def symbols() -> list[str]:
    return [f"S{n:03}USDT" for n in range(LISTED)]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A venue that lists many symbols."""
    info = built_in()
    model = next(entry for entry in info["symbols"] if entry["symbol"] == "BTCUSDT")
    info["symbols"] = [{**model, "symbol": name, "pair": name, "baseAsset": name[:-4]} for name in symbols()]
    path: Path = tmp_path_factory.mktemp("venue") / "exchangeInfo.json"
    path.write_text(json.dumps(info), encoding="utf-8")
    often = {f"PMS_SIM_LIMIT_ORDERS_PER_{span}": "100000" for span in ("TEN_SECONDS", "MINUTE")}
    with simulator(PMS_SIM_EXCHANGE_INFO=str(path), PMS_SIM_BALANCE="10000000", **often) as address:
        yield address


@pytest.fixture
async def desk(names: Names, redis_url: str, database: str, exchange: dict[str, str]) -> AsyncIterator[Desk]:
    await empty(database)
    sim = Simulator(exchange)
    made = Desk(names, redis_url, database, sim)
    try:
        yield made
    finally:
        await made.stop()
        await sim.close()


def weight(request: dict[str, Any]) -> int:
    """What a request costs, by the venue's pages; a handshake is 5."""
    name, rest = request["name"], request["transport"] == "rest"
    if name == "GET /fapi/v1/openOrders":
        return 1 if "symbol" in request["params"] else 40
    if name.endswith(("balance", "positionRisk", "accountConfig", "symbolConfig", "userTrades")):
        return 5
    return WEIGHTS.get(name, 1 if rest else 5)


async def test_r25_a_start_finds_what_has_changed_within_ten_seconds_and_a_quarter_of_the_weight(desk: Desk) -> None:
    await asyncio.gather(*(desk.sim.market("64000.0", "64000.1", symbol=name) for name in symbols()[:TRADED]))
    await desk.start()
    orders: list[PlaceOrder] = []
    for n in range(ORDERS + CHANGED // 2):
        changes = n >= ORDERS
        price = "63999.0" if changes else f"{50_000 + n}.0"
        symbol = symbols()[n % TRADED]
        orders.append(place_order(desk.names, f"r{n}", symbol=symbol, price=price, account_id=f"a{n % 7}"))
        await desk.ask(orders[-1])
    last = {order.client_order_id for order in orders}
    await desk.hear(
        lambda heard: last <= {u.order.client_order_id for u in heard.updates if getattr(u, "cause", "") == "active"}
    )
    await desk.drained()
    await desk.kill()
    filled = orders[ORDERS:]
    for name in symbols()[: CHANGED // 2]:
        await desk.sim.market("63990.0", "63990.1", symbol=name)
    for name in symbols()[CHANGED // 2 : CHANGED]:
        await desk.sim.fault("foreign_order", symbol=name, side="BUY", quantity="0.003")
    known = (await desk.sim.get("/sim/counters"))["requests"]
    began_s = time.monotonic()
    await desk.start()
    took_s = time.monotonic() - began_s
    requests = await desk.sim.get("/sim/requests")
    asked = requests[-((await desk.sim.get("/sim/counters"))["requests"] - known) :]
    used = sum(map(weight, asked))
    print(f"ready after {took_s:.1f} s, {used} weight, {len(asked)} requests")
    assert used < MOST_WEIGHT
    assert (requests[-1]["timeNs"] - asked[0]["timeNs"]) / 1e9 < READY_S
    for order in filled:
        await desk.until_state(order, "filled")
    await desk.hear(lambda heard: len([u for u in heard.updates if isinstance(u, ForeignOrder)]) >= CHANGED // 2)
    await desk.hear(lambda heard: len([u for u in heard.updates if isinstance(u, Reconciled)]) >= 2)
    count = [update for update in desk.updates if isinstance(update, Reconciled)][-1]
    assert count.orders == Tally(matched=ORDERS) and count.positions.total == CHANGED
    assert count.trades == Tally(adopted=CHANGED // 2, quarantined=CHANGED // 2)
