"""What an order leaves in memory once it has ended: nothing, beyond a bound."""

import gc

from pms_cli.bench.orders_inside import inside
from pms_cli.bench.orders_memory import live, objects
from pms_cli.bench.orders_throughput_peer import LIFE
from pms_common.names import Names

KEPT = 100
WARM = 1_000
ORDERS = 1_500


async def test_memory_is_flat_over_orders_that_have_ended(names: Names, redis_url: str, database: str) -> None:
    thresholds = gc.get_threshold()
    try:
        async with inside(redis_url, database, names, max_ended=KEPT) as running:
            await live(running, 0, WARM)
            before = objects()
            await live(running, WARM, ORDERS)
            grown = objects() - before
            assert grown < ORDERS / 5, f"{ORDERS} orders have left {grown} objects"
            assert len(running.manager.tracker) == 0 and running.commits.depth == 0
            assert running.heard == (WARM + ORDERS) * len(LIFE)
    finally:
        gc.set_threshold(*thresholds)
