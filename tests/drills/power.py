"""The drill of a power cut at Redis: of its append-only file only what had surely reached the disk is left.

Owns the knowledge of how far the file was synced: `strace` tells each write to it and each sync (as root). Used by the
command line.
"""

import asyncio
import random
import re
import subprocess
import time
from pathlib import Path

from redis.asyncio import Redis
from tests.drills.cell import SERVICES, Cell
from tests.drills.probe import Probe
from tests.drills.traffic import Traffic

POLICIES = ("everysec", "always")
CUTS = 3
"""Of each, at any moment of the second between two syncs."""
QUIET_S = 3.0
_CALL = re.compile(r"\d+ +(?:write\(.* = (?P<written>\d+)|(?P<begun>fdatasync\(.*)|(?P<ended><\.\.\. fdatasync.*))")


class Synced:
    """Follows the system calls of a server on its append-only file, from `start` on."""

    def __init__(self, pid: int, folder: Path) -> None:
        (self._file,) = folder.glob("appendonlydir/*.incr.aof")
        self._log = folder / "strace.log"
        self._words = ["strace", "-f", "-e", "trace=write,fdatasync", "-e", "signal=none", "-s", "0", "-P", self._file]
        self._words += ["-o", self._log, "-p", str(pid)]

    def start(self) -> None:
        """Begin to follow."""
        self._strace = subprocess.Popen(self._words, stderr=subprocess.DEVNULL)

    def cut(self) -> None:
        """When the server has ended: take away what was written since the last sync that was done had begun."""
        self._strace.wait(60)
        unsynced = since_begin = 0
        syncs = 0
        for line in self._log.read_text().splitlines():
            call = _CALL.fullmatch(line)
            if call is None:
                continue
            if call["written"]:
                since_begin += int(call["written"])
                unsynced += int(call["written"])
            if call["begun"]:
                since_begin = 0
            if (call["begun"] or call["ended"] or "").endswith("= 0"):
                unsynced = since_begin
                syncs += 1
        assert syncs, "no sync was seen"
        with self._file.open("rb+") as file:
            file.truncate(self._file.stat().st_size - unsynced)


async def power_cut(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """Redis is killed and loses what was not on the disk, several times under each policy."""
    traffic.log_may_lose = True
    figures = {}
    for policy in POLICIES:
        lost, ready_s = zip(*[await _cut(cell, policy) for _ in range(CUTS)], strict=True)
        figures[f"{policy}: acknowledged writes lost"] = "; ".join(lost)
        figures[f"{policy}: back → all ready"] = f"up to {max(ready_s):.2f} s"
    return figures


async def _cut(cell: Cell, policy: str) -> tuple[str, float]:
    async with Redis.from_url(cell.valkey.url) as client:
        await client.config_set("appendfsync", policy)
    synced = Synced(cell.valkey.pid, cell.folder / "valkey")
    synced.start()
    async with Probe(cell).writing() as probe:
        await asyncio.sleep(random.uniform(3.0, 4.0))
        cell.valkey.process.kill()
        cut_s = time.monotonic()
        cell.valkey.process.wait(60)
        synced.cut()
        cell.start_valkey()
        back_s = time.monotonic()
        await cell.until_ready(f"{service}-a" for service in SERVICES)
        ready_s = time.monotonic() - back_s
        await asyncio.sleep(QUIET_S)
    return await probe.lost(cut_s), ready_s
