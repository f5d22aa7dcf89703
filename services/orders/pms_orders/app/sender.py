"""The sender: takes the most urgent requests from the lanes, checks them again, signs them and writes them together.

Owns the lanes, the rate budget's use and the moment of signing. Sends at once when it may; a timer runs only while a
limit is met. Never decides what an answer means. Used by the order manager, which enters orders and is told refusals.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from pms_common import metrics
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_orders.adapters.binance.trading_socket import TradingSocket
from pms_orders.domain.gates import Gates
from pms_orders.domain.lanes import Lanes
from pms_orders.domain.order import Operation, OrderState
from pms_orders.domain.rate import Budget, Lane
from pms_orders.domain.reducer import depart

MAX_PER_TURN = 200
"""Requests built before the loop may turn to others: about 4 ms of work."""

_depth = metrics.gauge("order_lane_depth", "Orders whose next request waits in a lane", ["lane"])

Bar = Callable[[OrderState, Operation, CommandError], None]


class Sender:
    """Sends what the lanes hold. `open_for_risk` False holds back new orders and amendments, not cancels and closes."""

    def __init__(
        self, budget: Budget, gates: Gates, socket: TradingSocket, bar: Bar, now_ms: Callable[[], int]
    ) -> None:
        self.lanes = Lanes()
        self.open_for_risk = False
        self._budget = budget
        self._gates = gates
        self._socket = socket
        self._bar = bar
        self._now_ms = now_ms
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._pumped_ms = 0
        for lane in Lane:
            _depth.labels(lane.name.lower()).set_function(partial(self.lanes.depth, lane))
        self._timer: asyncio.TimerHandle | None = None

    def open(self, ready: bool) -> None:
        """Whether new risk may be sent."""
        self.open_for_risk = ready
        self.wake()

    def enter(self, order: OrderState) -> None:
        """Queue the order's next step, if it has one."""
        if self.lanes.enter(order):
            self.wake()

    def enter_later(self, order: OrderState, delay_s: float) -> None:
        """Queue the order's next step after a pause."""
        self._loop.call_later(delay_s, self.enter, order)

    def wake(self) -> None:
        """Something may go: look at the end of this turn, so that what comes together leaves together."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _admits(self, lane: Lane) -> bool:
        return self._allowed(lane) and self._budget.admits(lane, self._pumped_ms)

    def _allowed(self, lane: Lane) -> bool:
        return self.open_for_risk or lane is Lane.CANCEL or lane is Lane.CLOSE

    def _pump(self) -> None:
        self._scheduled = False
        if not self._socket.connected:
            return
        now_ms = self._pumped_ms = self._now_ms()
        for _ in range(MAX_PER_TURN):
            popped = self.lanes.pop(self._admits)
            if popped is None:
                self._wait_for_room(now_ms)
                break
            self._send(*popped, now_ms)
        else:
            self.wake()
        self._socket.flush()

    def _send(self, lane: Lane, operation: Operation, order: OrderState, now_ms: int) -> None:
        try:
            self._check(operation, order, now_ms)
        except CommandError as refusal:
            self._bar(order, operation, refusal)
            return
        self._budget.spend(lane, now_ms)
        depart(order, operation, now_ms)
        assert order.flight is not None
        self._socket.send(operation, order, order.flight)

    def _check(self, operation: Operation, order: OrderState, now_ms: int) -> None:
        if operation is Operation.CANCEL:
            return
        expires_ms = order.place.expires_at_ms
        if operation is Operation.PLACE and expires_ms is not None and now_ms > expires_ms:
            raise CommandError(ErrorCode.EXPIRED_COMMAND)
        self._gates.check(order.place)

    def _wait_for_room(self, now_ms: int) -> None:
        waiting = [lane for lane in Lane if self.lanes.depth(lane) and self._allowed(lane)]
        waits = [wait for lane in waiting if (wait := self._budget.wait_ms(lane, now_ms))]
        if waits and self._timer is None:
            self._timer = self._loop.call_later(min(waits) / 1000, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.wake()
