"""One life of the order service: the real wiring in a forked process, which kills itself where it is told to.

A death is a point and a number: the n-th time that point is reached the process is gone, with nothing flushed, nothing
closed, nothing answered. Points lie at the sockets, where every side effect leaves and every answer comes:

    venue:write      a trading request has been written to the exchange
    venue:answer     its answer was heard, and what follows from it is not written
    venue:event      events of the user stream were heard, and what follows from them is not written
    redis:multi      a MULTI has been written
    redis:exec       its answer has come and was not read
    database:commit  a COMMIT has been written
    database:committed  its answer has come and was not read
    {peer}:write, {peer}:read, {peer}:heard
                     anything was written, has come and was not read, was read and followed as far as it goes at once

Owns the points. Never touches what the service decides. Used by the nursery.
"""

import asyncio
import os
import signal
import traceback
from asyncio import selector_events
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.faults import haste
from tests.faults.nursery import Birth

from pms_common import logging as pms_logging
from pms_common import service
from pms_common.bus.incarnation import Incarnation
from pms_common.clock import now_ms
from pms_common.service import Lifecycle
from pms_common.settings import load_settings
from pms_orders import main
from pms_orders.adapters.binance.trading_socket import TradingSocket
from pms_orders.app import told
from pms_orders.app.outcomes import Outcomes
from pms_orders.app.session import Session

MARKED = {
    ("redis", b"MULTI\r\n"): ("redis:multi", "redis:exec"),
    ("database", b"COMMIT"): ("database:commit", "database:committed"),
}
FOREVER_MS = 10**13


class Deaths:
    """Counts how often each point was reached, and ends the process at the chosen ones."""

    def __init__(self, chosen: list[tuple[str, int]]) -> None:
        self._chosen = set(chosen)
        self._reached: Counter[str] = Counter()

    def reach(self, point: str) -> None:
        """A point was reached."""
        self._reached[point] += 1
        if (point, self._reached[point]) in self._chosen:
            os.write(2, f"killed at {point} {self._reached[point]}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


def prepare() -> None:
    """What every life would do again, done once before all of them. Large pages would be copied for each one."""
    load_settings(main.SERVICE, env_file=None)  # pydantic looks at the fields at the first time
    service.use_large_pages = lambda *_: 0


def live(birth: Birth) -> int:
    """Live; the exit code."""
    try:
        os.environ.update(birth.environment)
        settings = load_settings(main.SERVICE, env_file=None)
        pms_logging.configure(main.SERVICE, settings.log_level, settings.log_format)
        _tell_redis_time()
        deaths = Deaths(birth.deaths)
        _watch_sockets(deaths, birth.ports)
        _watch_trading(deaths)
        with asyncio.Runner(loop_factory=haste.new_loop) as runner:
            return runner.run(Lifecycle(main.SERVICE, settings).live(main.wire, probes=False))
    except BaseException:  # noqa: BLE001 (nobody above sees it: this process is about to end)
        traceback.print_exc()
        return 71


def _tell_redis_time() -> None:
    """Redis' own clock is not hastened: where the service asks for its time, it is given ours, and what is dated by one
    of them and sought by the other is sought from the beginning."""
    told.BEFORE_MS = FOREVER_MS
    check = Incarnation.check

    async def hastened(self: Incarnation, connection: Any) -> None:
        known = self.suspect_before_ms
        await check(self, connection)
        if self.suspect_before_ms != known:
            self.suspect_before_ms = now_ms() + 1

    Incarnation.check = hastened


def _watch_trading(deaths: Deaths) -> None:
    """The sockets to the exchange write and read past the event loop."""
    flush = TradingSocket.flush

    def watched(self: TradingSocket) -> None:
        writes = bool(self._frames) and self._transport is not None
        flush(self)
        if writes:
            deaths.reach("venue:write")

    TradingSocket.flush = watched
    Outcomes.answered = _then_reach(Outcomes.answered, deaths, "venue:answer")
    Session.hear = _then_reach(Session.hear, deaths, "venue:event")


def _then_reach(hears: Callable[..., None], deaths: Deaths, point: str) -> Any:
    def watched(*heard: Any) -> None:
        hears(*heard)
        deaths.reach(point)

    return watched


def _watch_sockets(deaths: Deaths, ports: dict[int, str]) -> None:
    transport: Any = selector_events._SelectorSocketTransport
    awaited: dict[int, str] = {}
    write, read = transport.write, transport._read_ready

    def watched_write(self: Any, data: bytes) -> None:
        write(self, data)
        peer = _peer(self, ports)
        if not peer:
            return
        for (whose, word), (sent, answered) in MARKED.items():
            if whose == peer and word in bytes(data):
                awaited[id(self)] = answered
                deaths.reach(sent)
        deaths.reach(f"{peer}:write")

    def watched_read(self: Any) -> None:
        peer = _peer(self, ports)
        if peer:
            if answered := awaited.pop(id(self), None):
                deaths.reach(answered)
            deaths.reach(f"{peer}:read")
        read(self)
        if peer:
            deaths.reach(f"{peer}:heard")

    transport.write, transport._read_ready = watched_write, watched_read


def _peer(transport: Any, ports: dict[int, str]) -> str:
    name = transport.get_extra_info("peername")
    return ports.get(name[1], "") if isinstance(name, tuple) else ""
