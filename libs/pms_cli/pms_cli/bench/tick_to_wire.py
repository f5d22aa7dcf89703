"""`tick_to_wire`: a bookTicker frame to the amend it causes at the exchange, against three hops at that pace.

A chase follows the bid at a fixed number of ticks, so each price amended to tells which quote caused it.
"""

import asyncio
import time
from decimal import Decimal

from pms_cli.bench.reference import run_chain
from pms_cli.bench.result import Context, Result, Sample, combine, sample_of
from pms_cli.bench.rig import RATE_PER_S, SYMBOL, Rig, rig

HOPS = 3
OFFSET_TICKS = 2000
TICK = Decimal("0.1")
STEP_TICKS = 5
"""Of one move of the market: more than a flicker, so that the chase follows at once."""


async def run(context: Context) -> list[Result]:
    """Interleave the chain and the system, `rounds` times."""
    rounds: list[tuple[Sample, float]] = []
    kind = ""
    async with rig({"PMS_L1_SOURCE": "bookticker"}) as system:
        bid = Decimal(int(await system.price()))
        await _quote(system, bid)
        await system.command(
            "chase", subAccountId=system.account, symbol=SYMBOL, side="BUY", quantity="0.01", leverage=10,
            stalkOffsetTicks=OFFSET_TICKS, stalkMode="maintain", minIntervalMs=1,
        )  # fmt: skip
        bid = (await _measure(system, bid, 0.5))[1]
        for _ in range(context.rounds):
            chain = await run_chain(HOPS, RATE_PER_S, context.seconds, system.socket)
            kind = chain.kind
            sample, bid = await _measure(system, bid, context.seconds)
            rounds.append((sample, chain.p50_us))
    return [combine("tick_to_wire", "us", rounds, f"{kind} chain of {HOPS} hops")]


async def _measure(system: Rig, bid: Decimal, seconds: float) -> tuple[Sample, Decimal]:
    bids: list[Decimal] = []
    begin = time.time_ns()
    loop = asyncio.get_running_loop()
    start = loop.time()
    for n in range(int(RATE_PER_S * seconds)):
        bid += TICK * STEP_TICKS
        bids.append(bid)
        await asyncio.sleep(max(0, start + n / RATE_PER_S - loop.time()))
        await _quote(system, bid)
    await asyncio.sleep(0.3)
    written = await system.frames("quote")
    took = []
    for at, params in await system.arrivals("order.modify"):
        if at >= begin:
            caused_by = written.get(f"{Decimal(params['price']) + OFFSET_TICKS * TICK:.1f}")
            if caused_by is not None:
                took.append((at - caused_by) / 1000)
    return sample_of(took, len(bids)), bid


async def _quote(system: Rig, bid: Decimal) -> None:
    body = {"symbol": SYMBOL, "bid": str(bid), "ask": str(bid + TICK), "bidQty": "50", "askQty": "50"}
    await system.simulator("POST", "market", body)
