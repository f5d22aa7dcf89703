"""Drills of our own processes: they are replaced, killed, moved, and their clock is wrong.

Each takes a running cell and the traffic on it, and returns its figures by name. Used by the command line.
"""

import asyncio
import time
from pathlib import Path

from tests.drills import clock
from tests.drills.cell import SERVICES, WRITERS, Cell
from tests.drills.traffic import Traffic

QUIET_S = 3.0
"""Between two strokes, so that each is one of its own."""
STEPS_S = (2.0, -2.0, 30.0, -30.0, 0.0)


async def upgrade(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """Rolling upgrade: of each service a new process comes, then the old one is asked to end."""
    del traffic
    figures = {}
    for service in SERVICES:
        old, new = f"{service}-a", f"{service}-b"
        await cell.start([new])
        await (cell.until_standing_by(new) if service in WRITERS else cell.until_ready([new]))
        began_s = time.monotonic()
        await cell.stop([old])
        await cell.until_ready([new])
        figures[f"{service}: SIGTERM → successor ready"] = f"{time.monotonic() - began_s:.2f} s"
        await asyncio.sleep(QUIET_S)
    return figures


async def takeover(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """kill -9 of each leader, with a standby beside it."""
    del traffic
    figures = {}
    for service in WRITERS:
        await cell.start([f"{service}-b"])
        await cell.until_standing_by(f"{service}-b")
    for service in WRITERS:
        cell.kill(f"{service}-a")
        figures[f"{service}: kill -9 → standby ready"] = f"{await cell.until_ready([f'{service}-b']):.2f} s"
        await asyncio.sleep(QUIET_S)
    return figures


async def clock_step(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """The clock of the services' machine is set, forward and back; what it says meanwhile is wrong."""
    del traffic
    for seconds in STEPS_S:
        clock.step(cell.folder, seconds)
        await asyncio.sleep(QUIET_S)
    took_s = await cell.until_ready([f"{service}-a" for service in SERVICES])
    return {"clock off by": ", ".join(f"{seconds:+g} s" for seconds in STEPS_S), "ready afterwards": f"{took_s:.2f} s"}


async def move(cell: Cell, traffic: Traffic) -> dict[str, str]:
    """The cell goes to another machine: stopped, its data copied, started there; the backend waits meanwhile."""
    traffic.hold()
    began_s = time.monotonic()
    await cell.end()
    ended_s = time.monotonic()
    there = cell.move(Path(f"{cell.folder}-there"))
    copied_s = time.monotonic()
    await there.start_servers()
    await there.start([f"{service}-a" for service in SERVICES])
    await there.until_ready([f"{service}-a" for service in SERVICES])
    traffic.follow(there)
    traffic.go_on()
    await asyncio.sleep(QUIET_S)
    return {
        "stopped in": f"{ended_s - began_s:.1f} s",
        "copied in": f"{copied_s - ended_s:.1f} s",
        "started there in": f"{time.monotonic() - copied_s - QUIET_S:.1f} s",
    }
