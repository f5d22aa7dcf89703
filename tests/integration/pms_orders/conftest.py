"""The order service against the running simulator, Valkey and PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from tests.integration.pms_orders.desk import Desk, simulator

from pms_common.db import connect
from pms_common.names import Names


@pytest.fixture
async def desk(names: Names, redis_url: str, database: str) -> AsyncIterator[Desk]:
    """A ready order service on a market of 64,000.0 to 64,000.1."""
    connection = await connect(database)
    await connection.execute("TRUNCATE pms_orders.orders, pms_orders.fills, pms_orders.gates")
    await connection.close()
    async with simulator() as sim:
        await sim.market("64000.0", "64000.1")
        made = Desk(names, redis_url, database, sim)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
