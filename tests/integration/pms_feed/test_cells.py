"""Cells (one exchange account each) share a feed: its namespace names ticks and watch for all of them."""

import asyncio
from functools import partial

from tests.integration.pms_feed.rig import WAIT_S, Rig, now_ms, until

from pms_common.bus import Bus
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick, WatchLease
from pms_common.names import Names


class Cell:
    """One cell's reader of ticks, and its lease on a symbol."""

    def __init__(self, name: str, feed: str, symbol: str) -> None:
        self.names = Names(f"{feed}:{name}", feed)
        self.symbol = symbol
        self.heard: list[Tick] = []

    async def run(self, url: str) -> None:
        bus = await Bus.connect(url, "algos", self.names)
        try:
            owner = f"{self.names.namespace}:algos"
            lease = WatchLease(owner=owner, symbols=[self.symbol], until_ms=now_ms() + 60_000)
            await bus.redis.xadd(self.names.watch, {"data": encode(lease)})
            await bus.ticks_reader(self.names.ticks, "algos", self.heard.extend).run()
        finally:
            await bus.close()


async def test_each_cell_reads_every_tick_with_a_group_of_its_own_and_no_lease_ends_anothers(
    rig: Rig, redis_url: str
) -> None:
    feed = rig.names.namespace
    cells = [Cell("one", feed, "ETHUSDT"), Cell("two", feed, "BNBUSDT")]
    await rig.market(500.0, 500.01, "BNBUSDT")
    await rig.start()
    running = [asyncio.create_task(cell.run(redis_url)) for cell in cells]
    try:
        async with asyncio.timeout(WAIT_S):
            for cell in cells:
                await until(partial(_heard, cell, {"BTCUSDT", "ETHUSDT", "BNBUSDT"}))
            seen = set(cells[0].heard)
            await until(partial(_heard_again, cells[1], seen))
        groups = {group["name"].decode() for group in await rig.redis.xinfo_groups(rig.names.ticks)}
        assert groups == {f"{cell.names.namespace}:algos" for cell in cells}
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _heard(cell: Cell, symbols: set[str]) -> bool:
    return {tick.symbol for tick in cell.heard} >= symbols


async def _heard_again(cell: Cell, ticks: set[Tick]) -> bool:
    """All that the other heard since this one began to listen."""
    began_us = min(tick.sent_us for tick in cell.heard)
    return {tick for tick in ticks if tick.sent_us > began_us} <= set(cell.heard)
