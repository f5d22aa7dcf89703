"""A Redis Cluster for tests: valkey servers on loopback, three masters, and replicas of each.

Owns its processes and who has which slots. Used by the bus's tests and the drill.
"""

import asyncio
from pathlib import Path
from typing import Any

from redis.crc import key_slot

from pms_cli.embedded import Child, free_port, start_valkey
from pms_common.bus.dial import dial
from pms_common.bus.url import parse

MASTERS = 3
SLOTS = 16_384
NODE_TIMEOUT_MS = 1_000
WITHIN_S = 60.0
OPTIONS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": str(NODE_TIMEOUT_MS),
    # A slot that nobody serves concerns its cell alone.
    "cluster-require-full-coverage": "no",
    "repl-diskless-sync-delay": "0",
}
SAFE = {"min-replicas-to-write": "1", "min-replicas-max-lag": "1"}
"""With two replicas of each master: one that is cut off takes nothing more, as in deploy/compose/redis/ha.conf."""


class RedisCluster:
    """Started and formed by `start`."""

    def __init__(self, folder: Path, replicas: int) -> None:
        self._folder = folder
        self._replicas = replicas
        self._options: list[list[str]] = []
        self.nodes: list[Child] = []

    @property
    def url(self) -> str:
        """Of all nodes, without a user."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}"

    async def start(self) -> None:
        """Start the nodes, and wait until each knows who has which slots."""
        common = {**OPTIONS, **(SAFE if self._replicas > 1 else {})}
        for n in range(MASTERS * (1 + self._replicas)):
            options = {**common, "cluster-port": str(free_port())}
            self._options.append([word for name, value in options.items() for word in (f"--{name}", value)])
            self.nodes.append(start_valkey(self._folder / f"node-{n}", options=self._options[n]))
        for n, node in enumerate(self.nodes):
            if n < MASTERS:
                share = (SLOTS * n // MASTERS, SLOTS * (n + 1) // MASTERS - 1)
                await self.ask(node, "CLUSTER", "ADDSLOTSRANGE", *map(str, share))
            bus_port = self._options[n][self._options[n].index("--cluster-port") + 1]
            await self.ask(self.nodes[0], "CLUSTER", "MEET", "127.0.0.1", str(node.port), bus_port)
        await self._until_known()
        for n, node in enumerate(self.nodes[MASTERS:]):
            master = await self.ask(self.nodes[n % MASTERS], "CLUSTER", "MYID")
            await self.ask(node, "CLUSTER", "REPLICATE", master.decode())
        for node in self.nodes[MASTERS:]:
            await self.until(node, b"master_link_status:up", "INFO", "replication")

    async def _until_known(self) -> None:
        for node in self.nodes:
            await self.until(node, f"cluster_known_nodes:{len(self.nodes)}".encode(), "CLUSTER", "INFO")
            await self.until(node, b"cluster_state:ok", "CLUSTER", "INFO")

    def stop(self) -> None:
        """Stop all of it."""
        for node in self.nodes:
            node.stop()

    def start_again(self, node: Child) -> Child:
        """Start a node that has ended, on its data."""
        n = self.nodes.index(node)
        self.nodes[n] = start_valkey(self._folder / f"node-{n}", node.port, self._options[n])
        return self.nodes[n]

    async def ask(self, node: Child, *words: str) -> Any:
        """A command to one node."""
        line = await dial(parse(node.url))
        try:
            return await line.call(*words)
        finally:
            line.abort("asked")

    async def until(self, node: Child, wanted: bytes, *words: str) -> None:
        """Wait until a node's answer has this in it."""
        async with asyncio.timeout(WITHIN_S):
            while wanted not in await self.ask(node, *words):  # noqa: ASYNC110 (a server tells nobody)
                await asyncio.sleep(0.05)

    async def master_of(self, namespace: str) -> Child:
        """The node that has a namespace's keys, as most nodes that run say."""
        slot = key_slot(namespace.encode())
        told: list[int] = []
        for node in self.nodes:
            if node.alive():
                shares = await self.ask(node, "CLUSTER", "SLOTS")
                told += [master[1] for first, last, master, *_ in shares if first <= slot <= last]
        return next(node for node in self.nodes if node.port == max(told, key=told.count))

    async def until_another_has(self, namespace: str, before: Child) -> Child:
        """Wait until a namespace's keys have another node."""
        async with asyncio.timeout(WITHIN_S):
            while (node := await self.master_of(namespace)) is before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            return node

    async def reshard(self, namespace: str, target: Child) -> int:
        """Move a namespace's slot key by key, as `redis-cli --cluster reshard` does; how many keys it had."""
        slot, source = str(key_slot(namespace.encode())), await self.master_of(namespace)
        ids = {node.port: (await self.ask(node, "CLUSTER", "MYID")).decode() for node in (source, target)}
        await self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        await self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        moved = 0
        while keys := [key.decode() for key in await self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, "100")]:
            await self.ask(source, "MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *keys)
            moved += len(keys)
        for node in (target, source):
            await self.ask(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
        return moved
