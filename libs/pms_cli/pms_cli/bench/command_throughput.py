"""`command_throughput`: resting limit orders a second from XADD to the exchange, in a burst and kept up.

The reference is a saturated chain of two hops. The burst counts what arrived in its first five seconds; what the
journal still had to write ten seconds later is told beside it, and the CPU that an order has cost by then in all
processes together, databases, exchange and load included: of all these the figure that neighbours change least.
"""

import asyncio
import time
import uuid

import aiohttp

from pms_cli.bench.reference import run_chain
from pms_cli.bench.result import Context, Result
from pms_cli.bench.rig import MAX_OPEN_ORDERS, Rig, cpu_s, rig

BURST_S = 5.0
BURST_ORDERS = 45_000
WINDOW = 4_000
"""Orders under way: more wait in the streams than any part works on at once."""
BATCH = 50
LOOK_S = 0.1
"""A look costs the exchange as much as three orders, and the load as much again: far less often than orders run out."""
SUSTAINED_S = 10.0
DRAIN_WITHIN_S = 10.0


async def run(context: Context) -> list[Result]:
    """One burst, then a longer run, each on a system of its own."""
    del context
    async with rig() as system:
        floor = await run_chain(2, -2000, 2.0, system.socket)
        before_s = cpu_s()
        burst = await _orders_per_s(system, BURST_S, BURST_ORDERS)
        lag_s = await _journal_lag_s(system)
        cpu_us = (cpu_s() - before_s) * 1e6 / len(await system.arrivals("order.place"))
    async with rig() as system:
        sustained = await _orders_per_s(system, SUSTAINED_S, int(BURST_ORDERS * SUSTAINED_S / BURST_S))
    against = f"{floor.kind} chain of 2 hops, saturated"
    return [
        Result("command_throughput.burst_5s", "orders/s", burst, burst, burst, 1, against, burst / floor.rate),
        Result(
            "command_throughput.sustained",
            "orders/s",
            sustained,
            sustained,
            sustained,
            1,
            against,
            sustained / floor.rate,
        ),
        Result("command_throughput.journal_lag", "s", lag_s, lag_s, lag_s, 1),
        Result("command_throughput.cpu", "us/order", cpu_us, cpu_us, cpu_us, 1),
    ]


async def _orders_per_s(system: Rig, seconds: float, at_most: int) -> float:
    far = int(await system.price() * 0.97)
    accounts = [await system.open_account() for _ in range(at_most // MAX_OPEN_ORDERS + 1)]
    bodies = [system.order(account, side="BUY", quantity=0.002, price=far) for account in accounts]
    run_id = uuid.uuid4().hex[:8]
    begin = time.monotonic()
    sent = 0
    while time.monotonic() - begin < seconds and sent < at_most:
        system.send_together("limit", [(f"{run_id}-{n}", bodies[n % len(bodies)]) for n in range(sent, sent + BATCH)])
        sent += BATCH
        await system.answered()
        if sent % (BATCH * 10) == 0:
            await _at_most_under_way(system, sent)
    return await _arrived(system, time.time_ns() - int((time.monotonic() - begin) * 1e9), seconds)


async def _at_most_under_way(system: Rig, sent: int) -> None:
    under_way = WINDOW + 1
    while under_way > WINDOW:
        state = await system.simulator("GET", "counters")
        under_way = sent - state["requests"]
        await asyncio.sleep(LOOK_S)


async def _arrived(system: Rig, begin_ns: int, seconds: float) -> float:
    arrivals = [at for at, _ in await system.arrivals("order.place") if begin_ns <= at < begin_ns + seconds * 1e9]
    return len(arrivals) / seconds


async def _journal_lag_s(system: Rig) -> float:
    await asyncio.sleep(DRAIN_WITHIN_S)
    lags = []
    async with aiohttp.ClientSession() as session:
        for url in system.place.services.values():
            async with session.get(url) as response:
                for line in (await response.text()).splitlines():
                    if line.startswith("pms_journal_lag_seconds "):
                        lags.append(float(line.split()[1]))
    return max(lags)
