"""The order service's memory over many orders: what one leaves behind once it has ended, which is to be nothing.

Owns the lives and the counting; the long run is a command of its own, for a million orders take a while:
`python -m pms_cli.bench.orders_memory --orders 1000000`. A short one is among the tests.
"""

import argparse
import gc
import json
import os
import tempfile
import time
import uuid
from pathlib import Path

import uvloop

from pms_cli import migrate
from pms_cli.bench.orders_inside import Inside, inside
from pms_cli.bench.orders_throughput_peer import LIFE, name_of, payload
from pms_cli.embedded import start_postgres, start_valkey
from pms_common.clock import now_ms
from pms_common.db import Retention, create_engine
from pms_common.names import Names
from pms_orders.adapters.binance import wire
from pms_orders.adapters.retention import remove_orders

AT_ONCE = 2_000
MAX_ENDED = 5_000
STREAM = 10_000
SAMPLES = 20


async def live(running: Inside, first: int, orders: int) -> None:
    """Have orders live from their registration to their last fill, a few hundred at once."""
    for begin in range(first, first + orders, AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, first + orders))
        for number in numbers:
            running.place(name_of(number), number)
        for stage in range(len(LIFE)):
            decoded = [wire.decode_event(payload(number, stage)) for number in numbers]
            running.hear([event for event in decoded if event is not None])
        await running.written()


def objects() -> int:
    """Objects that are alive and may hold others: every entry of a map adds at least one."""
    gc.collect()
    return len(gc.get_objects())


def resident_kb() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 1024


async def _run(redis_url: str, database: str, orders: int) -> None:
    """Print the state after each twentieth of the lives; old history is removed and the stream trimmed meanwhile."""
    engine = create_engine(database)
    retention = Retention(engine, 0, now_ms, remove_orders)
    share = max(AT_ONCE, orders // SAMPLES)
    names = Names(f"bench{uuid.uuid4().hex[:8]}")
    async with inside(redis_url, database, names, MAX_ENDED) as running:
        began_s = time.monotonic()
        for first in range(0, orders, share):
            await live(running, first, min(share, orders - first))
            await running.bus.redis.xtrim(names.updates("orders"), STREAM)
            removed = await retention.sweep(pause_s=0)
            told = {"orders": first + share, "objects": objects(), "resident_kb": resident_kb(), "removed": removed}
            print(json.dumps({**told, "seconds": round(time.monotonic() - began_s, 1)}), flush=True)
    await engine.dispose()


def main() -> None:
    """Run on embedded servers."""
    options = argparse.ArgumentParser(prog="orders_memory")
    options.add_argument("--orders", type=int, default=1_000_000)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as state:
        valkey, postgres = start_valkey(Path(state) / "redis"), start_postgres(Path(state) / "database")
        try:
            migrate.upgrade(postgres.url)
            uvloop.run(_run(valkey.unix_url, postgres.url, asked.orders))
        finally:
            valkey.stop()
            postgres.stop()


if __name__ == "__main__":
    main()
