"""The benchmark `algos_ticks`: the algos service from a tick to the amend that leaves the process, and its memory.

500 chases on 20 symbols at 5,000 ticks a second, through the product's own engine, plans, outbox and connection to
Redis; the exchange's word on each amend comes back at once and is handled, too. The journal stands still: nothing that
is measured waits for it. The clock is the process's own CPU time, which it never stops using, so that neighbours on the
machine change neither the pace nor the delay: `decided` is until the amend is in the outbox, from the entry of ticks on
that moves it; `woken` from the turn of the event loop on in which its time comes (a chase moves only so often, and a
flicker is waited out: most amends at this pace); `left` until it is on the socket, from either. Owns the wiring and the
counting.
`python -m pms_cli.bench.algos_ticks [--idle 5000]` also measures what so many chases hold in memory.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop

from pms_algos.app.accounts import Accounts
from pms_algos.app.children import Children
from pms_algos.app.clock import Clock
from pms_algos.app.engine import Engine
from pms_algos.app.kinds import KINDS
from pms_algos.app.kinds.base import Begin
from pms_algos.app.markets import Markets
from pms_algos.app.outputs import Outputs
from pms_cli.bench.result import Context, Result, percentile
from pms_cli.embedded import start_valkey
from pms_common.answers import Answers
from pms_common.bus import Bus, UpdatesWriter
from pms_common.clock import now_ms
from pms_common.contracts.bus.base import Side, encode
from pms_common.contracts.bus.common import Tick, ticks
from pms_common.contracts.bus.orders import AmendOrder, OrderUpdate, OrderView, SymbolSpec, order_work
from pms_common.contracts.bus.risk import ChildOrder, risk_work
from pms_common.contracts.commands.chase import Chase
from pms_common.marks import Marks
from pms_common.names import Names

SYMBOLS = [f"COIN{number}USDT" for number in range(20)]
CHASES = 500
RATE = 5_000
ENTRY = 5
"""Symbols that one entry of ticks carries at this rate."""
MOVES = (0, 0, 0, 0, 0, 0, 0, 0, -1, 1)
"""In ticks: most of what a book ticker tells is a quantity."""
AMEND = b'"t":"amend"'
clock_s = time.thread_time
_BEGAN_MS = now_ms()
_TICK, _STEP = Decimal("0.1"), Decimal("0.001")


class _Still:
    """In place of the journal: what is saved counts as durable; and of the outbox, for acknowledgements of no entry."""

    def __init__(self, bus: Bus) -> None:
        self.let_go = bus.outbox.let_go

    def add(self, _statement: object, _row: object) -> None:
        """Nothing is kept."""

    def then(self, saved: Callable[[], None]) -> None:
        saved()

    def ack(self, _entry: object) -> None:
        """Nothing came from a stream."""


class Stage:
    """The engine on a real connection, and the orders its chases have."""

    def __init__(self, bus: Bus, names: Names) -> None:
        self.bus, self.names = bus, names
        self.now_s, self.in_entry = clock_s(), False
        updates = UpdatesWriter(bus.outbox, names.updates("algos"), 1)
        marks = Marks(bus, names, "algos")
        self.markets, accounts = Markets(), Accounts()
        answers = Answers(names, bus.outbox, updates, marks)
        outputs = Outputs(names, bus.outbox, updates, answers, marks, self.markets, accounts)
        still: Any = _Still(bus)
        self.engine = Engine(self.markets, accounts, outputs, still, still, Clock(self._clock_ms, self._clock_ms))
        self.children = Children(self.engine, outputs, still, self._clock_ms)
        self.orders: dict[str, ChildOrder] = {}
        self.versions: dict[str, int] = {}
        self.amended: deque[bytes] = deque()
        self.handed: deque[float] = deque()
        self.decided_us: list[float] = []
        self.woken_us: list[float] = []
        self.left_us: list[float] = []
        self._bids = dict.fromkeys(SYMBOLS, 10_000)
        self._add, bus.outbox.add = bus.outbox.add, self._on_add  # type: ignore[method-assign]
        self._express, bus.outbox.express = bus.outbox.express, self._on_express  # type: ignore[method-assign]
        line: Any = bus.outbox._line
        self._request, line.request = line.request, self._on_request
        for symbol in SYMBOLS:
            self.markets.specs[symbol] = _spec(symbol)

    def _clock_ms(self) -> int:
        """The time that the engine lives in, of this turn: the clock costs 2 µs, which the service's own does not."""
        return _BEGAN_MS + int(self.now_s * 1000)

    # -- between engine and wire

    def _on_express(self, stream: str, data: bytes) -> None:
        delays = self.decided_us if self.in_entry else self.woken_us
        delays.append((clock_s() - self.now_s) * 1e6)
        self.handed.append(self.now_s)
        self.amended.append(data)
        self._express(stream, data)

    def _on_add(self, stream: str, data: bytes, **more: Any) -> None:
        child = risk_work.decode(data)
        assert isinstance(child, ChildOrder)
        self.orders[child.client_order_id] = child
        self._add(stream, data, **more)

    def _on_request(self, payload: Any, *more: Any) -> Any:
        done = self._request(payload, *more)
        left_s = clock_s()
        for _ in range((payload if isinstance(payload, bytes) else b"".join(payload)).count(AMEND)):
            self.left_us.append((left_s - self.handed.popleft()) * 1e6)
        return done

    def rest(self) -> None:
        """No wake may find a connection that is closed."""
        for running in self.engine.algos:
            self.engine.algos.remove(running)

    # -- what the other services do

    def start(self, count: int) -> None:
        """So many chases, alternately on both sides, each with its order at the exchange."""
        kind = KINDS["chase"]
        for symbol in SYMBOLS:
            self.engine.tick(self._tick(symbol, 0))
        for number in range(count):
            account_id, symbol = f"account-{number % 100}", SYMBOLS[number % len(SYMBOLS)]
            side: Side = "BUY" if number // len(SYMBOLS) % 2 else "SELL"
            command = Chase(request_id=f"r{number}", symbol=symbol, side=side, quantity=Decimal(1), leverage=5)
            begin = Begin(f"chase_{number}", account_id, f"r{number}", None, self.engine.scene(account_id))
            self.engine.start(kind, kind.begin(begin, command), (), lambda: None)
        for child_id in list(self.orders):
            self._tell(child_id, "accepted", self.orders[child_id].price)

    def answer(self) -> None:
        """The exchange has amended what it was asked to."""
        while self.amended:
            amend = order_work.decode(self.amended.popleft())
            assert isinstance(amend, AmendOrder)
            self._tell(amend.client_order_id, "amended", amend.price)

    def _tell(self, child_id: str, cause: Any, price: Decimal | None) -> None:
        asked = self.orders[child_id]
        version = self.versions[child_id] = self.versions.get(child_id, 0) + 1
        view = OrderView(
            client_order_id=child_id,
            account_id=asked.account_id,
            symbol=asked.symbol,
            side=asked.side,
            order_type="LIMIT",
            quantity=asked.quantity,
            price=price,
            leverage=asked.leverage,
            origin=asked.origin,
            parent_id=asked.parent_id,
            state="active",
            version=version,
            created_ms=0,
            updated_ms=0,
        )
        nothing: Any = None
        key = f"{child_id}:{version}"
        update = OrderUpdate(epoch=1, n=version, key=key, cause=cause, order=view, event_ms=0)
        self.children.told(update, nothing)

    def _tick(self, symbol: str, move: int) -> Tick:
        bid = self._bids[symbol] = self._bids[symbol] + move
        now = self._clock_ms()
        return Tick(symbol, bid / 10, 1.0, (bid + 1) / 10, 1.0, now, now * 1000, now * 1000, now, now)

    def entry(self, dice: random.Random) -> None:
        """One entry of ticks, as the reader reads it: in a stretch of its own."""
        data = encode([self._tick(symbol, dice.choice(MOVES)) for symbol in dice.sample(SYMBOLS, ENTRY)])
        self.now_s, self.in_entry = clock_s(), True
        self.bus.outbox.begin_stretch()
        for tick in ticks.decode(data):
            self.engine.tick(tick)
        self.bus.outbox.end_stretch()
        self.in_entry = False


async def _measure(redis_url: str, seconds: float, count: int) -> tuple[Stage, float, float]:
    """The stage with its delays, CPU per tick in µs, and memory of the chases in MB."""
    names = Names(f"bench{uuid.uuid4().hex[:8]}")
    gc.set_threshold(20_000, 20, 50)  # as the service has it
    bus = await Bus.connect(redis_url, "algos", names, lambda _part, _ok, _why: None)
    running = asyncio.create_task(bus.run())
    bus.outbox.publish(names.namespace, b"")
    await bus.outbox.flush()  # it has its connection now
    stage = Stage(bus, names)
    gc.collect()
    before_kb = _resident_kb()
    stage.start(count)
    await bus.outbox.flush()
    gc.collect()
    held_mb = (_resident_kb() - before_kb) / 1024
    began_s, entries, busy_s, dice = clock_s(), 0, 0.0, random.Random(1)
    while (elapsed_s := clock_s() - began_s) < seconds:
        if entries < elapsed_s * RATE / ENTRY:
            stage.entry(dice)
            entries += 1
            busy_s += clock_s() - stage.now_s
        stage.now_s = clock_s()
        await asyncio.sleep(0)
        stage.answer()
    cpu_us = busy_s * 1e6 / (entries * ENTRY)
    await bus.outbox.flush()
    await bus.redis.unlink(names.changes("orders"), names.updates("algos"), names.requests("risk"))
    stage.rest()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bus.close()
    return stage, cpu_us, held_mb


def _resident_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 1024


def _spec(symbol: str) -> SymbolSpec:
    return SymbolSpec(
        symbol=symbol,
        status="TRADING",
        base_asset=symbol[:-4],
        quote_asset="USDT",
        margin_asset="USDT",
        tick_size=_TICK,
        min_price=_TICK,
        max_price=Decimal(1_000_000),
        step_size=_STEP,
        min_quantity=_STEP,
        max_quantity=Decimal(1_000),
        market_step_size=_STEP,
        market_min_quantity=_STEP,
        market_max_quantity=Decimal(100),
        min_notional=Decimal(5),
        percent_price_up=Decimal("1.05"),
        percent_price_down=Decimal("0.95"),
        max_orders=200,
        market_take_bound=Decimal("0.05"),
    )


async def run(context: Context) -> list[Result]:
    """The delays of the amends, over all rounds."""
    delays: dict[str, list[float]] = {"decided": [], "woken": [], "left": []}
    for _ in range(context.rounds):
        stage, _, _ = await _measure(context.redis_url, context.seconds, CHASES)
        delays["decided"] += stage.decided_us
        delays["woken"] += stage.woken_us
        delays["left"] += stage.left_us
    return [_result(name, sorted(values)) for name, values in delays.items()]


def _result(name: str, ascending: list[float]) -> Result:
    p50, p95, p99 = (percentile(ascending, share) for share in (0.5, 0.95, 0.99))
    return Result(f"algos_ticks.{name}", "us", p50, p95, p99, len(ascending))


def main() -> None:
    """Measure on an embedded server and print delay, CPU per tick and memory."""
    options = argparse.ArgumentParser(prog="algos_ticks")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--idle", type=int, default=5_000, help="chases for the figure of memory")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as state:
        server = start_valkey(Path(state))
        try:
            context = Context(server.unix_url, 1, asked.seconds)
            for result in uvloop.run(run(context)):
                print(json.dumps(asdict(result)))
            _, cpu_us, _ = uvloop.run(_measure(server.unix_url, asked.seconds, CHASES))
            print(json.dumps({"name": "algos_ticks.cpu_per_tick", "us": round(cpu_us, 1)}))
            _, _, held_mb = uvloop.run(_measure(server.unix_url, 0.1, asked.idle))
            print(json.dumps({"name": "algos_ticks.memory", "chases": asked.idle, "mb": round(held_mb, 1)}))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
