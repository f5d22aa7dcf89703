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
STEP_TICKS = 10
"""Of one move of the market: more than a flicker and more than noise (0.001 %), so that the chase follows at once."""


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
        await _measure(system, bid, context.seconds, up=True)  # warm
        for n in range(context.rounds):  # down and up again, so that the price stays inside the approved range
            chain = await run_chain(HOPS, RATE_PER_S, context.seconds, system.socket)
            kind = chain.kind
            rounds.append((await _measure(system, bid, context.seconds, up=n % 2 == 1), chain.p50_us))
    return [combine("tick_to_wire", "us", rounds, f"{kind} chain of {HOPS} hops")]


async def _measure(system: Rig, low: Decimal, seconds: float, *, up: bool) -> Sample:
    moves = int(RATE_PER_S * seconds)
    bids = [low + TICK * STEP_TICKS * n for n in range(1, moves + 1)]
    begin = time.time_ns()
    loop = asyncio.get_running_loop()
    start = loop.time()
    for n, bid in enumerate(bids if up else reversed(bids)):
        await asyncio.sleep(max(0, start + n / RATE_PER_S - loop.time()))
        await _quote(system, bid)
    await asyncio.sleep(0.3)
    written = {Decimal(bid): at for bid, at in (await system.frames("quote")).items()}
    took = []
    for at, params in await system.arrivals("order.modify"):
        caused_by = written.get(Decimal(params["price"]) + OFFSET_TICKS * TICK)
        if at >= begin and caused_by is not None:
            took.append((at - caused_by) / 1000)
    return sample_of(took, moves)


async def _quote(system: Rig, bid: Decimal) -> None:
    body = {"symbol": SYMBOL, "bid": str(bid), "ask": str(bid + TICK), "bidQty": "50", "askQty": "50"}
    await system.simulator("POST", "market", body)
