"""How fast risk watches margin: 1,000 accounts × 10 positions on 20 symbols, half of the accounts in BTC.

`sweep`: every account once, in slices, and the longest slice. `tick`: one price through the screen, 5,000 of them.
`decision`: at 5,000 ticks a second, from the tick that completes the case against an account to its closing order.
`approval`: an order that arrives together with ticks, until it is put to the rules and sent. All in one process, in its
CPU time (what the neighbours take is not counted), without the stream hops, which `hop` measures. The reference of the
first is the naive way in the same round: every account that may be concerned is evaluated exactly.
"""

import asyncio
import gc
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from itertools import count

from pms_cli.bench.result import Context, Result, Sample, combine, sample_of
from pms_cli.bench.risk_inside import ACCOUNTS, PRICE, SYMBOLS, VICTIMS, Inside, victim_symbol
from pms_common.clock import now_ms
from pms_common.contracts.bus.common import Tick
from pms_common.logging import configure
from pms_risk.app.approvals import Ask
from pms_risk.app.sentinel import TEND_S
from pms_risk.domain.evaluation import evaluate

TICKS_A_SECOND = 5_000
TURN_S = 0.001
FALL = 80.55
"""A victim's mark at which its ratio is 0.91: 50 of an equity of 55."""
HOLD_MS = 300
VICTIM_EVERY_S = 0.02
ORDER_EVERY = 5
"""Turns."""
MS = 1_000.0


async def run(context: Context) -> Sequence[Result]:
    """All four, in rounds beside the naive way."""
    gc.set_threshold(20_000, 20, 50)  # as the service has it
    configure("bench", "ERROR")
    rounds = [await _round(context.seconds) for _ in range(context.rounds)]
    gc.unfreeze()
    sweeps, slices, ticks, decisions, approvals = zip(*rounds, strict=True)
    return [
        combine("risk_evaluation.sweep", "µs", sweeps, "every account evaluated exactly"),
        combine("risk_evaluation.slice", "µs", slices, "the whole sweep"),
        combine("risk_evaluation.tick", "µs", ticks, "every holder of the symbol evaluated exactly"),
        combine("risk_evaluation.decision", "µs", decisions, "the goal of 5 ms"),
        combine("risk_evaluation.approval", "µs", approvals, "the goal of 2 ms"),
    ]


Cell = tuple[Sample, float]


async def _round(seconds: float) -> tuple[Cell, Cell, Cell, Cell, Cell]:
    inside = Inside()
    inside.sentinel.tend()
    await _settled(inside)
    gc.collect()
    gc.freeze()  # as the service does after its start
    naive_us = _naive(inside, list(inside.state.books.accounts)[:ACCOUNTS])
    sweep, longest = await _sweeps(inside)
    one_us = naive_us / 2  # of the accounts half hold the symbol
    ticks = _ticks(inside)
    decisions, approvals = await _under_load(inside, seconds)
    return (
        (sweep, naive_us),
        (longest, sweep.p50),
        (ticks, one_us),
        (decisions, 5 * MS),
        (approvals, 2 * MS),
    )


async def _settled(inside: Inside) -> None:
    while inside.sentinel.busy:  # noqa: ASYNC110
        await asyncio.sleep(0)


def _naive(inside: Inside, account_ids: Sequence[str]) -> float:
    accounts, state = inside.state.books.accounts, inside.state
    started = time.process_time()
    for account_id in account_ids:
        _ = evaluate(accounts[account_id], state.prices.mark, state.brackets).ratio
    return (time.process_time() - started) * 1e6


async def _sweeps(inside: Inside) -> tuple[Sample, Sample]:
    """CPU of whole sweeps, and how long each of their slices kept everything else waiting."""
    whole, slices = [], []
    for _ in range(20):
        done = asyncio.create_task(inside.sentinel.sweep())
        before = started = time.process_time()
        while not done.done():
            await asyncio.sleep(0)
            now = time.process_time()
            slices.append((now - before) * 1e6)
            before = now
        whole.append((time.process_time() - started) * 1e6)
    return sample_of(whole, 20), sample_of(slices, len(slices))


def _ticks(inside: Inside) -> Sample:
    draw, mids, cost = random.Random(2), dict.fromkeys(SYMBOLS, PRICE), []
    for _ in range(5_000):
        tick = _walk(draw, mids)
        started = time.process_time()
        inside.feed([tick])
        cost.append((time.process_time() - started) * 1e6)
    return sample_of(cost, 5_000)


def _walk(draw: random.Random, mids: dict[str, float]) -> Tick:
    symbol = draw.choice(SYMBOLS)
    mid = mids[symbol] = mids[symbol] * (1 + draw.gauss(0, 1e-5))
    at_ms = now_ms()
    return Tick(symbol, mid - 0.01, 9.0, mid + 0.01, 9.0, at_ms, 0, 0, at_ms, at_ms)


class _Load:
    """Ticks, victims and orders, each at its pace, in one event loop."""

    def __init__(self, inside: Inside, seconds: float) -> None:
        self.inside = inside
        self.until = time.perf_counter() + seconds
        self.fallen: dict[str, float] = {}
        self.decided: list[float] = []
        self.approved: list[float] = []
        inside.outbox.on_add = self._on_add

    @property
    def going_on(self) -> bool:
        return time.perf_counter() < self.until

    def _on_add(self, data: bytes) -> None:
        if b'"LIQUIDATION"' in data:
            account_id = data.split(b'"account_id":"', 1)[1].split(b'"', 1)[0].decode()
            fallen = self.fallen.pop(account_id, None)
            if fallen is not None:
                self.decided.append((time.process_time() - fallen) * 1e6)

    async def ticks(self) -> None:
        draw, mids = random.Random(3), dict.fromkeys(SYMBOLS, PRICE)
        due = time.perf_counter()
        loop = asyncio.get_running_loop()
        for turn in count():
            if not self.going_on:
                return
            due += TURN_S
            if turn % ORDER_EVERY == 0:
                loop.call_soon(self._order, turn, time.process_time())
            self.inside.feed([_walk(draw, mids) for _ in range(int(TICKS_A_SECOND * TURN_S))])
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def victims(self) -> None:
        """Each falls once, is looked at again when its case has held, and is timed from that tick."""
        loop = asyncio.get_running_loop()
        for number in range(VICTIMS):
            if not self.going_on:
                return
            self.inside.tick([victim_symbol(number)], FALL)
            loop.call_later(HOLD_MS / 1_000, self._again, number)
            await asyncio.sleep(VICTIM_EVERY_S)

    def _again(self, number: int) -> None:
        self.fallen[f"victim-{number}"] = time.process_time()
        self.inside.tick([victim_symbol(number)], FALL)

    def _order(self, number: int, arrived: float) -> None:
        account = self.inside.state.books.accounts[f"account-{number % ACCOUNTS}"]
        ask = Ask(
            account=account,
            spec=self.inside.state.specs[SYMBOLS[0]],
            side="BUY",
            quantity=Decimal("0.1"),
            leverage=Decimal(10),
            order_type="LIMIT",
            price=Decimal(99),
            time_in_force="GTC",
            request_id=f"order-{number}",
        )
        (approved,) = self.inside.approvals.approve(ask)
        self.approved.append((time.process_time() - arrived) * 1e6)
        account.drop_order(approved.order.client_order_id)

    async def tend(self) -> None:
        while self.going_on:
            self.inside.sentinel.tend()
            await asyncio.sleep(TEND_S)


async def _under_load(inside: Inside, seconds: float) -> tuple[Sample, Sample]:
    load = _Load(inside, seconds)
    sweeping = asyncio.create_task(inside.sentinel.run())
    await asyncio.gather(load.ticks(), load.victims(), load.tend())
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    return sample_of(load.decided, len(load.decided)), sample_of(load.approved, len(load.approved))
