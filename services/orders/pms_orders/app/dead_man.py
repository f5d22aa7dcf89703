"""Sets the exchange's countdowns while this process is healthy, and knows afterwards what they have cancelled.

Owns the countdowns that were set, also for a successor: they are kept in Redis before they are set, so that it can tell
why orders ended, whenever its predecessor did.
An unhealthy process sets nothing: then the countdowns do what they are for. Spawn `run`, where it is switched on.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Set
from typing import cast

import msgspec
from redis.asyncio import Redis

from pms_common import metrics
from pms_common.bus import Outbox
from pms_common.logging import get_logger
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused, VenueUnreachable
from pms_orders.app.manager import OrderManager
from pms_orders.domain.dead_man import REASON, Countdown, decide, explains
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind

log = get_logger(__name__)

TURN_S = 0.5
SET_WEIGHT = 10
_answer = msgspec.json.Decoder(dict)
_ENDED = (Kind.CANCELLED, Kind.FOUND_CANCELLED)

_armed = metrics.gauge("dead_man_armed", "Symbols whose countdown runs at the exchange")
_left_out = metrics.gauge("dead_man_left_out", "Symbols with own orders and no countdown: foreign orders, or no weight")
_tripped = metrics.counter("dead_man_cancels", "Orders that a countdown has cancelled")


class DeadMan:
    """The switch of one exchange account. `healthy()` says whether it may be held down."""

    def __init__(
        self,
        *,
        countdown_ms: int,
        manager: OrderManager,
        rest: ExchangeClient,
        clock: VenueClock,
        outbox: Outbox,
        key: str,
        healthy: Callable[[], bool],
        others_at: Callable[[], Set[str]],
    ) -> None:
        """`others_at` are the symbols where the feed, or a comparison, has shown orders of others."""
        self._countdown_ms = countdown_ms
        self._manager = manager
        self._rest = rest
        self._clock = clock
        self._outbox = outbox
        self._key = key
        self._healthy = healthy
        self._others_at = others_at
        self._seen_at: Set[str] = frozenset()
        self._until_ms: dict[str, int] = {}
        self._asked_until_ms: dict[str, tuple[int, int]] = {}
        """Of those that the exchange was asked for and has not confirmed, the first and the last: any may run."""
        self._foreign_until_ms: dict[str, int] = {}

    async def load(self, redis: Redis) -> None:
        """What a predecessor has set."""
        kept = await cast("asyncio.Future[dict[bytes, bytes]]", redis.hgetall(self._key))
        for symbol, ends in kept.items():
            confirmed, *asked = map(int, ends.split())
            if confirmed:
                self._until_ms[symbol.decode()] = confirmed
            if asked:
                self._asked_until_ms[symbol.decode()] = (asked[0], asked[-1])

    def explain(self, report: Report) -> None:
        """Give the end of an order its reason, where a countdown was it."""
        if report.kind not in _ENDED:
            return
        until_ms = self._until_ms.get(report.symbol)
        spans = ((until_ms, until_ms) if until_ms else None, self._asked_until_ms.get(report.symbol))
        if any(span is not None and explains(*span, report.event_ms) for span in spans):
            report.reason = REASON
            _tripped.inc()
            log.error("dead_man_cancelled", symbol=report.symbol, client_order_id=report.client_order_id)

    async def run(self) -> None:
        """Hold the switch down until cancelled."""
        while True:
            if self._healthy():
                try:
                    await self._turn()
                except (VenueRefused, VenueUnreachable) as error:
                    log.warning("dead_man_not_set", error=str(error))
            await asyncio.sleep(TURN_S)

    async def _turn(self) -> None:
        self._notice()
        own = Counter(order.place.symbol for order in self._manager.tracker.live() if order.sent_ms)
        for todo in self._decide(own):
            if todo.countdown_ms:
                await self._look(todo.symbol)
            for still in self._decide(own):  # the look may have found foreign orders
                if still.symbol == todo.symbol and self._healthy():
                    await self._set(still)
        now_ms = self._clock.now_ms()
        running = [symbol for symbol, until_ms in self._until_ms.items() if until_ms > now_ms]
        _armed.set(len(running))
        _left_out.set(len(own.keys() - running))

    def _decide(self, own: Counter[str]) -> list[Countdown]:
        now_ms = self._clock.now_ms()
        foreign = {symbol for symbol, until_ms in self._foreign_until_ms.items() if until_ms > now_ms}
        due_ms = now_ms + self._countdown_ms * 2 // 3
        unconfirmed = {symbol: min(until_ms, due_ms) for symbol, (_, until_ms) in self._asked_until_ms.items()}
        return decide(own, foreign, unconfirmed | self._until_ms, now_ms, self._countdown_ms)

    def _notice(self) -> None:
        """Take symbols where orders of others have come for foreign, until a countdown would be due again."""
        others_at = self._others_at()
        for symbol in others_at - self._seen_at:
            self._foreign_until_ms[symbol] = self._clock.now_ms() + self._countdown_ms // 3
        self._seen_at = others_at

    async def _look(self, symbol: str) -> None:
        """Look for foreign orders; where there are some, look again when a countdown would be due again."""
        find = self._manager.tracker.find_reported
        listed = await self._rest.open_orders(symbol)
        if all(find(symbol, order.order_id, order.client_order_id) for order in listed):
            self._foreign_until_ms.pop(symbol, None)
        else:
            self._foreign_until_ms[symbol] = self._clock.now_ms() + self._countdown_ms // 3

    async def _set(self, countdown: Countdown) -> None:
        symbol, countdown_ms = countdown
        if countdown_ms:
            until_ms = self._clock.now_ms() + countdown_ms
            first_ms, _ = self._asked_until_ms.get(symbol, (until_ms, until_ms))
            self._asked_until_ms[symbol] = (first_ms, until_ms)
            self._outbox.command("HSET", self._key, symbol, f"{self._until_ms.get(symbol, 0)} {first_ms} {until_ms}")
            await self._outbox.flush()
            if not self._healthy():
                return
        parameters: dict[str, str | int] = {"symbol": symbol, "countdownTime": countdown_ms}
        await self._rest.ask("POST", "/fapi/v1/countdownCancelAll", SET_WEIGHT, _answer, parameters)
        self._asked_until_ms.pop(symbol, None)
        if countdown_ms:
            self._until_ms[symbol] = until_ms
            self._outbox.command("HSET", self._key, symbol, until_ms)
        else:
            self._until_ms.pop(symbol, None)
            self._outbox.command("HDEL", self._key, symbol)
