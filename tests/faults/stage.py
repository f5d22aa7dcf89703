"""One schedule carried out: lives of the service one after the other, the steps in their time, and the end in quiet.

Owns the course of a schedule and its trace. Used by the worker.
"""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import haste
from tests.faults.desk import Desk
from tests.faults.hearing import Heard
from tests.faults.nursery import Birth, Nursery
from tests.faults.plan import Schedule
from tests.faults.verdict import Difference, Truth, differences
from tests.faults.world import World

from pms_common.names import Names

READY_WITHIN_S = 60.0
"""Real seconds; so is the patience."""
PATIENCE_S = 120.0
HASTE_S = 100.0
"""A life that is not ready by then, or a truth that is not told, may have too little of the machine for its haste."""
LOOK_MS = 400
QUIET_MS = 300
RESTART_MS = 500
DEPOSED = ("another process has taken the lease", "was superseded by")
"""What a life says that finds its successor in Redis, or in the journal."""
DEFECTS = ("Exception in callback", "exception was never retrieved")
"""What asyncio writes of an exception that reaches nobody."""
ORDERS = "SELECT * FROM pms_orders.orders"
FILLS = "SELECT * FROM pms_orders.fills"
PENDING = "SELECT * FROM pending_orders"


@dataclass(slots=True)
class Played:
    """What became of a schedule."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Difference] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    """Lives that were neither killed nor deposed. The supervisor starts the service again; it should not have to."""
    trace: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Stage:
    """Carries out one schedule."""

    def __init__(self, world: World, nursery: Nursery, schedule: Schedule, speed: float, folder: Path) -> None:
        self._world, self._nursery, self._schedule, self._folder = world, nursery, schedule, folder
        self._speed = speed
        self._names = Names(f"f{schedule.seed}")
        self._heard = Heard(self._names)
        self._desk = Desk(world.redis, self._names, schedule.steps)
        self._foreign = self._lives = 0
        self._pids: list[int] = []
        self.played = Played(schedule.seed)

    async def play(self) -> Played:
        """From the first life to the verdict."""
        started_s = haste.real_monotonic()
        haste.clock.begin(self._speed)
        self._began_ms = haste.now_ms()
        self._environment = {"PMS_NAMESPACE": self._names.namespace, **await self._world.begin()}
        self._watch_venue()
        living = [asyncio.create_task(self._live()) for _ in range(self._schedule.instances)]
        try:
            await self._act()
            await self._world.calm()
            self.played.violations = await self._settle()
        finally:
            await self._end(living)
        self.played.seconds = haste.real_monotonic() - started_s
        self._count()
        self._note_requests()
        self._read_logs()
        return self.played

    # -- lives

    async def _live(self) -> None:
        """One life after the other, of one instance."""
        while True:
            life, self._lives = self._lives, self._lives + 1
            deaths = self._schedule.deaths[life] if life < len(self._schedule.deaths) else []
            log = self._folder / f"life-{life}.log"
            birth = Birth(self._environment, str(log), self._world.ports, deaths)
            pid, ended = await self._nursery.bear(birth)
            self._pids.append(pid)
            self._note("life", f"{life} of pid {pid} dies of {deaths}")
            self.played.counts["lives"] += 1
            self._mourn(life, deaths, os.waitstatus_to_exitcode(await ended), log)
            self._pids.remove(pid)
            await self._heard.read(self._world.redis)
            if await self._led(pid):
                self._heard.ready = False
            pauses = self._schedule.pauses_ms
            await asyncio.sleep((pauses[life] if life < len(pauses) else RESTART_MS) / 1000)

    async def _led(self, pid: int) -> bool:
        """Whether that process was the last to lead. The end of a standby leaves the leader as ready as it was."""
        process: Any = await self._world.redis.hget(self._names.lease("orders"), "process")  # type: ignore[misc]
        return process is None or str(pid) in process.decode().split()

    def _mourn(self, life: int, deaths: list[tuple[str, int]], code: int, log: Path) -> None:
        self._note("life", f"{life} ended with {code}")
        if code == -signal.SIGKILL:
            self.played.counts["kills"] += 1
            self.played.counts.update(f"kills at {point}" for point, _ in deaths)
            return
        why = [line for line in log.read_text(errors="replace").splitlines() if "task_failed" in line]
        if any(word in line for line in why for word in DEPOSED):
            self.played.counts["lives that another deposed"] += 1
        else:
            self.played.ends.append(f"life {life} ended by itself with exit code {code}: {' '.join(why)}")

    async def _until_ready(self) -> None:
        began_s = haste.real_monotonic()
        while not self._heard.ready and (waited_s := haste.real_monotonic() - began_s) < READY_WITHIN_S:
            self._slow_after(waited_s)
            await asyncio.sleep(0.1)
            await self._heard.read(self._world.redis)

    async def _end(self, living: list["asyncio.Task[None]"]) -> None:
        for task in living:
            task.cancel()
        ends = await asyncio.gather(*living, return_exceptions=True)
        self.played.violations += [Difference("wrong", repr(end)) for end in ends if isinstance(end, Exception)]
        await self._nursery.end_all()
        await self._world.exchange.simulator.stop()

    # -- what is done

    async def _act(self) -> None:
        waits, last_ms = self._schedule.waits, 0
        for number, step in enumerate(self._schedule.steps):
            await asyncio.sleep((step.at_ms - last_ms) / 1000)
            last_ms = step.at_ms
            if waits == "always" or (waits == "once" and number == 0):
                await self._until_ready()
            self._note("step", f"{step.do} {step.what}")
            do: Any = getattr(self, f"_do_{step.do}", None) or getattr(self._desk, step.do)
            await do(**step.what)

    # -- what happens

    async def _do_foreign(self, **terms: str) -> None:
        self._foreign += 1
        self._world.exchange.place_foreign(f"naive-{self._foreign}", terms)

    async def _do_market(self, **body: Any) -> None:
        await self._world.control("/sim/market", **body)

    async def _do_trade(self, **body: Any) -> None:
        await self._world.control("/sim/trade", **body)

    async def _do_fault(self, **body: Any) -> None:
        if body["kind"] == "half_open" or "sockets" in body:
            self.played.counts[f"fault {body['kind']}"] += 1
        await self._world.control("/sim/faults", **body)

    async def _do_redis(self) -> None:
        self.played.counts["fault redis cut"] += 1
        await self._world.cut_redis()

    async def _do_freeze(self, ms: int) -> None:
        if not self._pids:
            return
        pid = self._pids[0]
        self.played.counts["fault process stood still"] += 1
        _signal(pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(ms / 1000, _signal, pid, signal.SIGCONT)

    async def _do_database(self) -> None:
        self.played.counts["fault database cut"] += 1
        await self._world.cut_database()

    # -- the end

    async def _settle(self) -> list[Difference]:
        """Wait until nothing differs any more; what still does after the patience."""
        began_s = haste.real_monotonic()
        quiet = False
        while True:
            found = await self._look()
            waited_s = haste.real_monotonic() - began_s
            self._slow_after(waited_s)
            if waited_s > PATIENCE_S or (not found and quiet) or any(difference.lasting for difference in found):
                return found
            quiet = not found
            await asyncio.sleep((QUIET_MS if quiet else LOOK_MS) / 1000)

    def _slow_after(self, waited_s: float) -> None:
        """On a machine that does much else, timers that run faster than it works would end every lease."""
        if waited_s * haste.clock.speed > HASTE_S and haste.clock.speed > 1:
            haste.clock.slow()
            self.played.counts["slowed to real time"] += 1

    async def _look(self) -> list[Difference]:
        open_ = await self._unacknowledged()
        if open_:
            return [Difference("lost", f"not acknowledged: {open_}")]
        await self._heard.read_results(self._world.redis, self._desk.asked.answered)
        exchange = self._world.exchange
        truth = Truth(
            exchange.orders(),
            exchange.trades(),
            exchange.positions(),
            exchange.placed_again,
            {row["client_order_id"]: row for row in await self._world.rows(ORDERS)},
            await self._world.rows(FILLS),
            {row["id"]: row for row in await self._world.rows(PENDING)},
        )
        found = differences(self._desk.asked, self._heard, truth)
        if await self._world.redis.exists(self._names.dead):
            found.append(Difference("lost", "an entry is in the dead stream"))
        return found

    async def _unacknowledged(self) -> list[str]:
        names = self._names
        streams = [names.requests("orders"), names.urgent("orders"), names.changes("orders")]
        streams += [names.cmd("cancel"), names.cmd("cancel_all")]
        found = []
        for stream in streams:
            last: Any = await self._world.redis.xrevrange(stream, count=1)
            groups: Any = await self._world.redis.xinfo_groups(stream) if last else []
            if last and not any(group["pending"] == 0 and group["last-delivered-id"] == last[0][0] for group in groups):
                found.append(stream)
        return found

    def _count(self) -> None:
        counts, exchange = self.played.counts, self._world.exchange
        counts.update(f"fault {struck['kind']}" for struck in exchange.venue.faults.struck)
        counts["orders asked"] += len(self._desk.asked.orders)
        counts["orders"] += len(
            [order for order in exchange.orders() if order["clientOrderId"] in self._desk.asked.orders]
        )
        counts["fills"] += len(exchange.trades())
        counts["requests"] += len(self._desk.asked.requests)
        counts.update(f"refused {update.error_code}" for update in self._heard.orders.values() if update.error_code)
        counts["results by their key alone"] += self._heard.by_key_alone
        counts["updates"] += sum(map(len, self._heard.histories.values()))

    # -- the trace

    def _note(self, who: str, text: str, at_ms: int | None = None) -> None:
        since_ms = (haste.now_ms() if at_ms is None else at_ms) - self._began_ms
        self.played.trace.append(f"{since_ms:>7} {who:<6} {text}")

    def _note_requests(self) -> None:
        """What the exchange was asked, between the events."""
        shown = (
            "newClientOrderId",
            "origClientOrderId",
            "orderId",
            "side",
            "price",
            "quantity",
            "symbol",
            "batchOrders",
        )
        for request in self._world.exchange.venue.requests:
            params = {name: request.params[name] for name in shown if name in request.params}
            self._note("asked", f"{request.transport} {request.name} {params}", request.time_ns // 1_000_000)
        self.played.trace.sort(key=lambda line: int(line.split(maxsplit=1)[0]))

    def _read_logs(self) -> None:
        for life in range(self._lives):
            log = self._folder / f"life-{life}.log"
            if log.exists():
                written = log.read_text(errors="replace")
                log.unlink()
                self.played.trace += ["", f"life {life} wrote:", *written.splitlines()]
                found = [word for word in DEFECTS if word in written]
                self.played.violations += [Difference("wrong", f"life {life} wrote: {word}") for word in found]

    def _watch_venue(self) -> None:
        users: Any = self._world.exchange.venue.users
        send = users.send

        def watched(events: Any, *more: Any) -> None:
            events = list(events)
            for _, event in events:
                order = event.get("o", event)
                shown = [order[key] for key in ("c", "x", "X", "i", "t", "l", "z", "p", "q") if key in order]
                self._note("event", f"{event['e']} {shown}")
            send(events, *more)

        users.send = watched


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
