"""The drill of a Redis Cluster: two cells and the feed they share, each on a node of its own.

Owns the cluster and the second cell. Used by the command line.
"""

import asyncio
import time
from pathlib import Path

from tests.drills.cell import SERVICES, WRITERS, Cell, Exchange
from tests.drills.traffic import Traffic
from tests.redis_cluster import NODE_TIMEOUT_MS, RedisCluster
from tests.services import ServiceProcess

from pms_common.names import Names

FIRST, SECOND, FEED = "{acct1}drill", "{acct2}drill", "{acct3}drill"
"""Their slots have different masters."""
REPLICAS = 2
QUIET_S = 3.0


class ClusterCell(Cell):
    """A cell whose Redis is a cluster: the first, with the feed, or another one in the same cluster."""

    def __init__(self, folder: Path, exchange: Exchange, process: type[ServiceProcess] = ServiceProcess) -> None:
        super().__init__(folder, exchange, process)
        self.names = Names(FIRST, FEED)
        self.cluster = RedisCluster(folder / "cluster", REPLICAS)

    async def start_servers(self) -> None:
        """The cluster, unless it runs, and PostgreSQL."""
        if not self.cluster.nodes:
            await self.cluster.start()
        self.redis_url = self.cluster.url
        self.start_postgres()
        await self.migrate()

    async def another(self) -> "ClusterCell":
        """Another cell in this cluster, with an account of its own at the exchange, and its processes."""
        folder = self.folder / "second"
        folder.mkdir()
        cell = ClusterCell(folder, self.exchange)
        cell.names, cell.cluster = Names(SECOND, FEED), self.cluster
        cell.account = await self.exchange.open_account("second")
        await cell.start_servers()
        await cell.start(f"{service}-a" for service in WRITERS)
        return cell

    async def end(self) -> None:
        """End all of it; the first cell ends the cluster."""
        await self.stop(list(self.processes))
        self.postgres.stop()
        if self.names.namespace == FIRST:
            self.cluster.stop()


async def redis_cluster(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """kill -9 of the first cell's master; the second cell's slot moves; kill -9 of the feed's master."""
    assert isinstance(cell, ClusterCell)
    second = await cell.another()
    try:
        beside = Traffic(second)
        await second.until_ready(second.processes)
        await beside.open_accounts()
        async with beside.trading():
            figures = {"node timeout": f"{NODE_TIMEOUT_MS} ms"}
            began_s = time.time()
            figures |= await _lose_master(cell, FIRST, [f"{service}-a" for service in SERVICES])
            figures["second cell meanwhile without an order"] = f"{await beside.still_s(began_s):.1f} s"
            figures |= await _move_slot(second)
            figures |= await _lose_master(cell, FEED, ["feed-a"])
        figures |= {f"second cell: {what}": figure for what, figure in (await beside.figures()).items()}
        await beside.cancel_all_resting()
        books = await beside.settled()
        assert books.equal, books
        await beside.check()
        return figures
    finally:
        await second.end()


async def _lose_master(cell: ClusterCell, namespace: str, ready: list[str]) -> dict[str, str]:
    """It dies, and comes back as a replica."""
    master, began_s = await cell.cluster.master_of(namespace), time.monotonic()
    master.process.kill()
    master.process.wait(60)
    await cell.cluster.until_another_has(namespace, master)
    found_s = time.monotonic() - began_s
    await cell.until_ready(ready)
    ready_s = time.monotonic() - began_s
    await asyncio.sleep(QUIET_S)
    await cell.cluster.until(cell.cluster.start_again(master), b"master_link_status:up", "INFO", "replication")
    await asyncio.sleep(QUIET_S)
    return {
        f"kill -9 of {namespace}'s master → another has it": f"{found_s:.2f} s",
        f"kill -9 of {namespace}'s master → ready": f"{ready_s:.2f} s",
    }


async def _move_slot(cell: ClusterCell) -> dict[str, str]:
    """To the master of another cell's."""
    began_s = time.monotonic()
    moved = await cell.cluster.reshard(cell.names.namespace, await cell.cluster.master_of(FEED))
    moved_s = time.monotonic() - began_s
    await cell.until_ready(cell.processes)
    ready_s = time.monotonic() - began_s
    await asyncio.sleep(QUIET_S)
    return {f"slot with {moved} keys moved": f"{moved_s:.2f} s", "slot moved → all ready": f"{ready_s:.2f} s"}
