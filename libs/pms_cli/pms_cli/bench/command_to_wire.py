"""`command_to_wire`: XADD of a limit order to its arrival at the exchange, against a chain of two hops at that pace."""

import asyncio
import uuid

from pms_cli.bench.reference import run_chain
from pms_cli.bench.result import Context, Result, Sample, combine, sample_of
from pms_cli.bench.rig import RATE_PER_S, Rig, paced, rig
from pms_common.ids import client_order_id

HOPS = 2


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
    return [combine("command_to_wire", "us", rounds, f"{kind} chain of {HOPS} hops")]


async def _measure(system: Rig, seconds: float) -> Sample:
    far = int(await system.price() * 0.99)
    body = system.order(side="BUY", quantity=0.01, price=far, timeInForce="IOC")  # ends at once: nothing accumulates
    run_id = uuid.uuid4().hex[:8]
    sent: dict[str, int] = {}

    def act(n: int) -> None:
        request_id = f"{run_id}-{n}"
        order_id = client_order_id(system.place.names.namespace, system.account, "LMT", request_id)
        sent[order_id] = system.send("limit", request_id, body)

    await paced(RATE_PER_S, seconds, act)
    await asyncio.sleep(0.5)
    arrived = {params.get("newClientOrderId"): at for at, params in await system.arrivals("order.place")}
    return sample_of(
        [(arrived[order_id] - at) / 1000 for order_id, at in sent.items() if order_id in arrived], len(sent)
    )
