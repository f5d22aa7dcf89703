"""`restart_to_ready`: from `kill -9` of a service to its being ready again, with 1,000 open orders and 100 chases.

The supervisor's notice and its pause are part of it, reconciliation with the exchange too. The reference is a Python
process that imports the same service and ends: what a start costs before it has done anything.
"""

import asyncio
import os
import signal
import sys
import time
import uuid

from pms_cli.bench.result import Context, Result, Sample, combine
from pms_cli.bench.rig import SYMBOL, Rig, rig

ORDERS = 1_000
CHASES = 100
KILLED = ("orders", "algos")
MAX_ROUNDS = 3
"""A service that dies again within half a minute is started after a growing pause, which is not what is measured."""
WITHIN_S = 60.0
LOOK_EVERY_S = 0.005


async def run(context: Context) -> list[Result]:
    """Kill each service `rounds` times, at most three."""
    rounds: dict[str, list[tuple[Sample, float]]] = {service: [] for service in KILLED}
    async with rig() as system:
        await _fill(system)
        for _ in range(min(context.rounds, MAX_ROUNDS)):
            for service in KILLED:
                floor_ms = await _import_ms(service)
                ms = await _restart_ms(system, service)
                rounds[service].append((Sample(ms, ms, ms, 1), floor_ms))
    return [combine(f"restart_to_ready.{name}", "ms", rounds[name], "Python and its imports") for name in KILLED]


async def _fill(system: Rig) -> None:
    far = int(await system.price() * 0.97)
    body, run_id = system.order(side="BUY", quantity=0.002, price=far), uuid.uuid4().hex[:8]
    for number in range(ORDERS):
        system.send("limit", f"{run_id}-{number}", body)
        await asyncio.sleep(0)
    for _ in range(CHASES):
        await system.command(
            "chase", subAccountId=system.account, symbol=SYMBOL, side="BUY", quantity="0.002", leverage=10,
            stalkOffsetTicks=20_000, stalkMode="maintain", minIntervalMs=1_000,
        )  # fmt: skip
    await _until_placed(system, ORDERS + CHASES)


async def _until_placed(system: Rig, orders: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(await system.arrivals("order.place")) < orders:  # noqa: ASYNC110 (the exchange is asked)
            await asyncio.sleep(0.1)


async def _restart_ms(system: Rig, service: str) -> float:
    """Kill it; the milliseconds until it is ready. The others are to be ready before and after."""
    await _all_ready(system)
    pid = system.pid(service)
    began_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(WITHIN_S):
        while await system.ready(service):  # noqa: ASYNC110 (it may answer for an instant)
            await asyncio.sleep(0)
        while not await system.ready(service):  # noqa: ASYNC110 (another process is asked)
            await asyncio.sleep(LOOK_EVERY_S)
    took_ms = (time.monotonic() - began_s) * 1000
    await _all_ready(system, other_than=(service, pid))
    return took_ms


async def _all_ready(system: Rig, other_than: tuple[str, int] | None = None) -> None:
    async with asyncio.timeout(WITHIN_S):
        while other_than and system.pid(other_than[0]) == other_than[1]:  # noqa: ASYNC110 (the supervisor tells it)
            await asyncio.sleep(0.1)
        for service in system.place.services:
            while not await system.ready(service):  # noqa: ASYNC110 (another process is asked)
                await asyncio.sleep(0.1)


async def _import_ms(service: str) -> float:
    began_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", f"import pms_{service}.main")
    if await process.wait():
        raise RuntimeError(f"pms_{service} cannot be imported")
    return (time.monotonic() - began_s) * 1000
