"""`history_size`: bytes in PostgreSQL, indexes included, for an order without an execution and for one with one.

A whole system makes many of each; what every table has grown by is divided by their number. Which of it is kept for how
long: docs/operations.md, *The database*.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pms_cli.bench.result import Context, Result
from pms_cli.bench.rig import Rig, rig
from pms_common.db import TableSizes, connect, create_engine

ORDERS = 2_000
BATCH = 50
SCHEMAS = ("pms_orders", "pms_risk", "pms_algos", "pms_gateway", "public")
SHOWN_BYTES = 1.0
PATIENCE_S = 120.0
ENDED = "SELECT count(*) FROM pms_orders.orders WHERE status IN ('filled', 'cancelled')"
BOOKED = "SELECT count(*) FROM pms_risk.fills"


async def run(context: Context) -> list[Result]:
    """Both lives, one after the other."""
    del context
    async with rig() as system:
        return [*await _grown(system, "order", _cancelled), *await _grown(system, "execution", _filled)]


async def _grown(system: Rig, life: str, live: Callable[[Rig], Awaitable[None]]) -> list[Result]:
    before = await _sizes(system)
    await live(system)
    after = await _sizes(system)
    each = {name: (size - before[name]) / ORDERS for name, size in after.items()}
    each["all"] = sum(each.values())
    return [
        Result(f"history_size.{life}.{name}", "bytes", size, size, size, ORDERS)
        for name, size in each.items()
        if size >= SHOWN_BYTES
    ]


async def _sizes(system: Rig) -> dict[str, int]:
    """By schema and table, with what the journal has written and the database has not yet tidied up."""
    engine = create_engine(system.place.database)
    try:
        return {
            f"{schema}.{name}": size
            for schema in SCHEMAS
            for name, size in (await TableSizes(engine, schema).look()).items()
        }
    finally:
        await engine.dispose()


async def _cancelled(system: Rig) -> None:
    """Limits that rest and are cancelled."""
    far = int(await system.price() * 0.97)
    await _sent(system, "limit", system.order(side="BUY", quantity=0.002, price=far))
    async with asyncio.timeout(PATIENCE_S):
        while len(await system.arrivals("order.place")) < ORDERS:  # noqa: ASYNC110 (the exchange is asked)
            await asyncio.sleep(0.2)
    await system.command("cancel_all", subAccountId=system.account)
    await _counted(system, ENDED)


async def _filled(system: Rig) -> None:
    """Market orders, each with one execution."""
    await _sent(system, "trade", system.order(side="BUY", quantity=0.002))
    await _counted(system, BOOKED)


async def _sent(system: Rig, command: str, body: bytes) -> None:
    for n in range(0, ORDERS, BATCH):
        system.send_together(command, [(f"{command}-{k}", body) for k in range(n, n + BATCH)])
        await system.answered()
        await asyncio.sleep(0.1)


async def _counted(system: Rig, query: str) -> None:
    connection = await connect(system.place.database)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await connection.fetchval(query) < ORDERS:  # noqa: ASYNC110 (the database is asked)
                await asyncio.sleep(0.5)
    finally:
        await connection.close()
