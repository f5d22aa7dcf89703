"""Run drills: `python -m tests.drills`, or by name, `python -m tests.drills upgrade takeover`."""

import argparse
import asyncio
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from tests.drills import clock, cluster, failover, power, processes, servers
from tests.drills.cell import SERVICES, Cell, Exchange
from tests.drills.traffic import Traffic
from tests.services import ServiceProcess

WARM_S = 2.0
DISK_MB = 512
Drill = Callable[[Cell, Traffic], Awaitable[dict[str, str]]]
DRILLS: dict[str, Drill] = {
    "upgrade": processes.upgrade,
    "takeover": processes.takeover,
    "redis-restart": servers.redis_restart,
    "redis-failover": failover.redis_failover,
    "redis-cluster": cluster.redis_cluster,
    "power-cut": power.power_cut,
    "postgres-restart": servers.postgres_restart,
    "restore": servers.restore,
    "disk-full": servers.disk_full,
    "clock-step": processes.clock_step,
    "move": processes.move,
    "outage": servers.outage,
}


def main() -> int:
    """The command line; 0 if every drill left everything right."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(DRILLS)}; all if none")
    names = parser.parse_args().names or list(DRILLS)
    if unknown := set(names) - set(DRILLS):
        parser.error(f"there is no drill {', '.join(sorted(unknown))}")
    return max(_attempt(name) for name in names)


def _attempt(name: str) -> int:
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="pms-drill-", ignore_cleanup_errors=True) as folder,
        _home(Path(folder), name) as home,
    ):
        try:
            figures = asyncio.run(drill(name, home))
        except Exception:  # noqa: BLE001 (told, and the next one is tried)
            traceback.print_exc()
            kept = Path(tempfile.mkdtemp(prefix="pms-drill-logs-"))
            for log in home.rglob("*.log"):
                shutil.copy(log, kept / f"{log.parent.name}-{log.name}")
            sys.stdout.write(f"{name}: FAILED; the logs are in {kept}\n")
            return 1
    sys.stdout.write(f"{name}  ({time.monotonic() - began_s:.0f} s)\n")
    for what, figure in figures.items():
        sys.stdout.write(f"    {what:44s} {figure}\n")
    sys.stdout.flush()
    return 0


@contextlib.contextmanager
def _home(folder: Path, name: str) -> Iterator[Path]:
    """Where the cell has its data: on a small disk of its own where that is to be full, which only root may make."""
    home = folder / "cell"
    home.mkdir()
    if name != "disk-full":
        yield home
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", str(home)], check=True)
    try:
        yield home
    finally:
        subprocess.run(["umount", str(home)], check=False)


async def drill(name: str, home: Path) -> dict[str, str]:
    """One drill on a cell of its own. Raises AssertionError where something is not as it must be."""
    clock.step(home, 0.0)
    exchange = Exchange(home)
    await exchange.start()
    kind = cluster.ClusterCell if name == "redis-cluster" else Cell
    cell = kind(home, exchange, clock.SteppedProcess if name == "clock-step" else ServiceProcess)
    await (failover.start_servers if name == "redis-failover" else kind.start_servers)(cell)
    traffic = Traffic(cell)
    try:
        await cell.start([f"{service}-a" for service in SERVICES])
        await cell.until_ready([f"{service}-a" for service in SERVICES])
        await traffic.open_accounts()
        async with traffic.trading():
            await asyncio.sleep(WARM_S)
            figures = await DRILLS[name](cell, traffic)
        figures |= await traffic.figures()
        await traffic.cancel_all_resting()
        books = await traffic.settled()
        assert books.equal, books
        await traffic.check()
    finally:
        await traffic.cell.end()
        exchange.process.kill()
    seq = "" if name == "power-cut" else "seq without holes, "  # there the log may lose its last second
    return {**figures, "lost, repeated": f"0, 0; {seq}books equal the exchange"}
