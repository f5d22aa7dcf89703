"""Drills of what the services depend on: Redis, PostgreSQL, the disk under both, the exchange.

Each takes a running cell and the traffic on it, and returns its figures by name. Used by the command line.
"""

import asyncio
import errno
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.drills.cell import SERVICES, Cell
from tests.drills.probe import Probe
from tests.drills.traffic import Traffic

from pms_cli.embedded import Child
from pms_cli.embedded.postgres import binaries
from pms_cli.ledgers import check_ledgers
from pms_common.clock import now_ms
from pms_common.db import create_engine
from pms_orders.adapters.replay import replay

AWAY_S = 3.0
QUIET_S = 3.0
FULL_S = 10.0
OUTAGE_S = float(os.environ.get("DRILL_OUTAGE_S", "600"))
ALL = tuple(f"{service}-a" for service in SERVICES)


async def redis_restart(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """Redis is stopped in order, away for a while and started; then it is killed."""
    del traffic
    figures = {}
    for how in (signal.SIGTERM, signal.SIGKILL):
        async with Probe(cell).writing() as probe:
            await asyncio.sleep(QUIET_S)
            stopped_s = time.monotonic()
            figures |= dict([await _restart(cell, cell.valkey, how, cell.start_valkey)])
        figures[f"{how.name}: acknowledged writes lost"] = await probe.lost(stopped_s)
    return figures


async def postgres_restart(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """PostgreSQL is stopped in order, away for a while and started; then it is killed."""
    del traffic
    ways = (signal.SIGINT, signal.SIGKILL)
    return dict([await _restart(cell, cell.postgres, how, cell.start_postgres) for how in ways])


async def _restart(cell: Cell, server: Child, how: signal.Signals, start: Callable[[], None]) -> tuple[str, str]:
    server.process.send_signal(how)
    server.process.wait(60)
    await asyncio.sleep(AWAY_S)
    start()
    took_s = await cell.until_ready(ALL)
    await asyncio.sleep(QUIET_S)
    return f"{how.name}, away {AWAY_S:g} s: back → all ready", f"{took_s:.2f} s"


async def restore(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """The database is dumped while trading goes on, and once more when all is stopped; it is lost and restored."""
    figures = {"dumped while trading, in": await _dump(cell, "early")}
    traffic.hold()
    await cell.stop(ALL)
    figures["dumped after a stop, in"] = await _dump(cell, "last")
    cell.postgres.stop()
    shutil.rmtree(cell.folder / "postgres")
    cell.start_postgres()
    for name in ("early", "last"):
        figures[f"restored and replayed ({name}), in"] = await _restore(cell, name)
    await cell.start(ALL)
    await cell.until_ready(ALL)
    traffic.go_on()
    await asyncio.sleep(QUIET_S)
    return figures


async def _dump(cell: Cell, name: str) -> str:
    return await _timed(binaries() / "pg_dump", "--format=custom", f"--file={cell.folder / name}", _dsn(cell))


async def _restore(cell: Cell, name: str) -> str:
    """Into the database, whatever it has; every order then follows from its history, and the ledgers add up."""
    words = ("--clean", "--if-exists", "--single-transaction", f"--dbname={_dsn(cell)}", str(cell.folder / name))
    took = await _timed(binaries() / "pg_restore", *words)
    engine = create_engine(cell.postgres.url)
    found = await replay(engine, 0, now_ms())
    await engine.dispose()
    wrong = await check_ledgers(cell.postgres.url)
    assert found.orders and not found.differing and not wrong, (found, wrong)
    return f"{took}, {found.orders} orders"


async def _timed(program: Path, *words: str) -> str:
    began_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(program, *words, stderr=asyncio.subprocess.PIPE)
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return f"{time.monotonic() - began_s:.1f} s"


def _dsn(cell: Cell) -> str:
    return cell.postgres.url.replace("+asyncpg", "")


async def disk_full(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """The disk under Redis and PostgreSQL is full for a while; what died of it is started again, as `pms up` does."""
    del traffic
    ballast = cell.folder / "ballast"
    _fill(ballast)
    died = set()
    until_s = time.monotonic() + FULL_S
    while time.monotonic() < until_s:
        await asyncio.sleep(0.2)
        died |= {child.name for child in (cell.valkey, cell.postgres) if not child.alive()}
    ballast.unlink()
    if not cell.valkey.alive():
        cell.start_valkey()
    if not cell.postgres.alive():
        cell.start_postgres()
    took_s = await cell.until_ready(ALL)
    await asyncio.sleep(QUIET_S)
    return {
        "full for": f"{FULL_S:g} s",
        "ended of it": ", ".join(sorted(died)) or "none",
        "ready after": f"{took_s:.2f} s",
    }


def _fill(ballast: Path) -> None:
    block = bytes(1 << 16)
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                if len(block) == 1:
                    return
                block = block[: len(block) // 16]


async def outage(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """The exchange answers nothing: its connections stand and are silent; then it goes on."""
    del traffic
    exchange = cell.exchange.process
    exchange.signal(signal.SIGSTOP)
    await asyncio.sleep(OUTAGE_S)
    exchange.signal(signal.SIGCONT)
    took_s = await cell.until_ready(ALL)
    await asyncio.sleep(QUIET_S)
    return {"silent for": f"{OUTAGE_S:g} s", "back → all ready": f"{took_s:.2f} s"}
