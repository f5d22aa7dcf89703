"""The order service against the running simulator, Valkey and PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from tests.integration.pms_orders.desk import Desk, Simulator, simulator
from tests.integration.pms_orders.rig import Rig

from pms_common.db import connect
from pms_common.names import Names


@pytest.fixture(scope="module")
def exchange() -> Iterator[dict[str, str]]:
    """The addresses of a running simulator."""
    limits = {
        "PMS_SIM_LIMIT_ORDERS_PER_TEN_SECONDS": "100",
        "PMS_SIM_LIMIT_WEIGHT_PER_MINUTE": "24000",
        "PMS_SIM_MAX_OPEN_ORDERS": "10000",  # a module's tests leave theirs behind
    }
    with simulator(**limits) as address:
        yield address


async def empty(database: str) -> None:
    """No order, no fill, no gate."""
    connection = await connect(database)
    await connection.execute(
        "TRUNCATE pms_orders.orders, pms_orders.fills, pms_orders.gates, pms_orders.transitions, pms_orders.answers"
    )
    await connection.close()


@pytest.fixture
async def rig(names: Names, redis_url: str, database: str) -> AsyncIterator[Rig]:
    """The order service without an exchange."""
    await empty(database)
    made = await Rig(names, redis_url, database).start()
    yield made
    await made.kill()


@asynccontextmanager
async def desk_at(
    address: dict[str, str], names: Names, redis_url: str, database: str, **env: str
) -> AsyncIterator[Desk]:
    """A ready order service at this exchange, with these settings besides."""
    await empty(database)
    sim = Simulator(address)
    await sim.reset()
    made = Desk(names, redis_url, database, sim)
    made.process.settings.update(env)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        await sim.close()


@pytest.fixture
async def desk(names: Names, redis_url: str, database: str, exchange: dict[str, str]) -> AsyncIterator[Desk]:
    """A ready order service on a market of 64,000.0 to 64,000.1."""
    async with desk_at(exchange, names, redis_url, database) as made:
        yield made
