"""`fill_to_event`: the exchange's fill frame to `order_filled` at a subscriber, against a chain of its hops.

Three hops: orders → risk → gateway → pub/sub.
"""

import asyncio
import json
import uuid

from pms_cli.bench.reference import run_chain
from pms_cli.bench.result import Context, Result, Sample, combine, sample_of
from pms_cli.bench.rig import RATE_PER_S, Rig, listen, paced, rig

HOPS = 3


async def run(context: Context) -> list[Result]:
    """Interleave the chain and the system, `rounds` times."""
    rounds: list[tuple[Sample, float]] = []
    kind = ""
    async with rig() as system:
        await _measure(system, 0.5)  # warm
        for _ in range(context.rounds):
            chain = await run_chain(HOPS, RATE_PER_S, context.seconds, system.socket)
            kind = chain.kind
            rounds.append((await _measure(system, context.seconds), chain.p50_us))
    return [combine("fill_to_event", "us", rounds, f"{kind} chain of {HOPS} hops")]


async def _measure(system: Rig, seconds: float) -> Sample:
    bodies = [system.order(side=side, quantity=0.001) for side in ("BUY", "SELL")]
    run_id = uuid.uuid4().hex[:8]
    listener = await listen(system, system.place.names.event_channel("order_filled"))
    await asyncio.sleep(0.1)
    await paced(RATE_PER_S, seconds, lambda n: _send(system, f"{run_id}-{n}", bodies[n % 2]))
    expected = int(RATE_PER_S * seconds)
    await asyncio.sleep(0.5)
    written = await system.frames("trade")
    took = []
    for at, payload in listener.messages:
        event = json.loads(payload)
        if event["exchangeOrderId"] in written:
            took.append((at - written[event["exchangeOrderId"]]) / 1000)
    return sample_of(took, expected)


def _send(system: Rig, request_id: str, body: bytes) -> None:
    system.send("trade", request_id, body)
