"""The sender: takes the most urgent requests from the lanes, checks them again, signs them and writes them together.

Owns the lanes, the rate budget's use, the open-order slots and the moment of signing. Sends at once when it may; where
several wait and one request for all is cheaper, it sends a batch; a timer runs only while a limit is met. Never decides
what an answer means. Used by the order manager, which enters orders and is told refusals.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

from pms_common import metrics
from pms_common.clock import monotonic_ms
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_orders.adapters.binance.transport import Transport
from pms_orders.domain.gates import Gates
from pms_orders.domain.lanes import Lanes
from pms_orders.domain.order import Operation, OrderState, too_late
from pms_orders.domain.rate import CANCELS_A_BATCH, FEWEST_CANCELS_A_BATCH, ORDERS_A_BATCH, Budget, Lane
from pms_orders.domain.reducer import depart
from pms_orders.domain.slots import Slots

MAX_PER_TURN = 200
"""Requests built before the loop may turn to others: about 4 ms of work."""
LONGEST_TIMER_MS = 1_000
"""Others may give room earlier than this process can know."""
BUSY_MS = 10
"""When to look again while all connections are in use."""

_depth = metrics.gauge("order_lane_depth", "Orders whose next request waits in a lane", ["lane"])
_batches = metrics.counter("order_batches", "Requests that carried several orders", ["operation"])
_LANES = tuple(Lane)
_OPERATIONS = (Operation.CANCEL, Operation.PLACE, Operation.PLACE, Operation.PLACE, Operation.AMEND)
"""Of each lane."""

Bar = Callable[[OrderState, Operation, CommandError], None]


class Sender:
    """Sends what the lanes hold. Where `open_for_risk` or `supervised` is false, new orders and amendments are held
    back; cancels and closes are not.
    """

    def __init__(
        self,
        budget: Budget,
        gates: Gates,
        transport: Transport,
        bar: Bar,
        now_ms: Callable[[], int],
        specs: Mapping[str, SymbolSpec],
    ) -> None:
        self.lanes = Lanes()
        self.slots = Slots()
        self.open_for_risk = False
        self.supervised = True
        self._budget = budget
        self._gates = gates
        self._transport = transport
        self._bar = bar
        self._now_ms = now_ms
        self._specs = specs
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        for lane in Lane:
            _depth.labels(lane.name.lower()).set_function(partial(self.lanes.depth, lane))
        self._timer: asyncio.TimerHandle | None = None

    def open(self, ready: bool) -> None:
        """Whether new risk may be sent."""
        self.open_for_risk = ready
        self.wake()

    def supervise(self, supervised: bool) -> None:
        """Whether somebody judges what is sent."""
        self.supervised = supervised
        self.wake()

    def enter(self, order: OrderState) -> None:
        """Queue the order's next step, if it has one."""
        lane = self.lanes.enter(order)
        if lane is None:
            return
        if lane is Lane.NEW and self.lanes.crowded(order, max(window.limit for window in self._budget.orders)):
            self._bar(order, Operation.PLACE, CommandError(ErrorCode.EXCHANGE_CAPACITY))
            return
        self.wake()

    def enter_later(self, order: OrderState, delay_s: float) -> None:
        """Queue the order's next step after a pause."""
        self._loop.call_later(delay_s, self.enter, order)

    def wake(self) -> None:
        """Something may go: look at the end of this turn, so that what comes together leaves together."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.settle)

    def settle(self) -> None:
        """What has been entered leaves now, if something has: no more of this turn is waited for."""
        if self._scheduled:
            self._pump()

    def _allowed(self, lane: Lane) -> bool:
        return lane <= Lane.CLOSE or (self.open_for_risk and self.supervised)

    def _pump(self) -> None:
        self._scheduled = False
        at_ms = monotonic_ms()
        left = MAX_PER_TURN
        for lane in _LANES:
            if self.lanes.depth(lane) and self._allowed(lane):
                left -= self._pump_lane(lane, left, at_ms)
        self._transport.flush()
        if left > 0:
            self._wait_for_room(at_ms)
        else:
            self.wake()

    def _pump_lane(self, lane: Lane, left: int, at_ms: int) -> int:
        """Send what may go of a lane; how many."""
        operation = _OPERATIONS[lane]
        sent = 0
        while self.lanes.depth(lane) and sent < left:
            if lane is not Lane.CANCEL and self._batch_pays(lane, operation, at_ms):
                taken = self._take(lane, operation, ORDERS_A_BATCH)
                self._send_together(lane, operation, taken, at_ms)
            else:
                room = min(left - sent, self._budget.room(lane, at_ms), self._transport.room(operation))
                if room <= 0:
                    break
                taken = self._take(lane, operation, room if lane is Lane.CANCEL else min(room, ORDERS_A_BATCH))
                if lane is Lane.CANCEL:
                    self._send_cancels(taken, at_ms)
                else:
                    self._send_singly(lane, operation, taken, at_ms)
            sent += len(taken)
        return sent

    def _batch_pays(self, lane: Lane, operation: Operation, at_ms: int) -> bool:
        enough = self.lanes.depth(lane) >= ORDERS_A_BATCH
        return enough and self._budget.batch_room(lane, at_ms) and self._transport.room(operation, batch=True) > 0

    def _take(self, lane: Lane, operation: Operation, most: int) -> list[OrderState]:
        """The next orders of a lane that may still be sent; they depart."""
        now_ms = self._now_ms()
        taken: list[OrderState] = []
        while len(taken) < most and (order := self.lanes.take(lane)) is not None:
            try:
                self._check(operation, order, now_ms)
            except CommandError as refusal:
                self._bar(order, operation, refusal)
                continue
            depart(order, operation, now_ms)
            if operation is Operation.PLACE:
                self.slots.hold(order)
            taken.append(order)
        return taken

    def _send_singly(self, lane: Lane, operation: Operation, orders: list[OrderState], at_ms: int) -> None:
        for order in orders:
            assert order.flight is not None
            self._budget.spend(lane, at_ms)
            self._transport.send(operation, order, order.flight)

    def _send_together(self, lane: Lane, operation: Operation, orders: list[OrderState], at_ms: int) -> None:
        if len(orders) < 2:
            self._send_singly(lane, operation, orders, at_ms)
            return
        self._budget.spend_batch(lane, at_ms)
        _batches.labels(operation).inc()
        self._transport.send_batch(operation, orders)

    def _send_cancels(self, orders: list[OrderState], at_ms: int) -> None:
        """Many of one symbol as batches, the others singly."""
        room = self._transport.room(Operation.CANCEL, batch=True)
        if room <= 0 or len(orders) < FEWEST_CANCELS_A_BATCH:
            self._send_singly(Lane.CANCEL, Operation.CANCEL, orders, at_ms)
            return
        by_symbol: defaultdict[str, list[OrderState]] = defaultdict(list)
        for order in orders:
            by_symbol[order.place.symbol].append(order)
        for same in by_symbol.values():
            for begin in range(0, len(same), CANCELS_A_BATCH):
                batch = same[begin : begin + CANCELS_A_BATCH]
                if len(batch) >= FEWEST_CANCELS_A_BATCH and room > 0:
                    room -= 1
                    self._send_together(Lane.CANCEL, Operation.CANCEL, batch, at_ms)
                else:
                    self._send_singly(Lane.CANCEL, Operation.CANCEL, batch, at_ms)

    def _check(self, operation: Operation, order: OrderState, now_ms: int) -> None:
        if operation is Operation.CANCEL:
            return
        place = order.place
        if operation is Operation.AMEND and too_late(order, now_ms):
            raise CommandError(ErrorCode.EXPIRED_COMMAND)
        if operation is Operation.PLACE:
            if place.expires_at_ms is not None and now_ms > place.expires_at_ms:
                raise CommandError(ErrorCode.EXPIRED_COMMAND)
            spec = self._specs.get(place.symbol)
            if not self.slots.admits(order, spec.max_orders if spec is not None else 0):
                raise CommandError(ErrorCode.EXCHANGE_CAPACITY)
        self._gates.check(place)

    def _wait_for_room(self, at_ms: int) -> None:
        if not len(self.lanes):
            return
        waiting = [lane for lane in _LANES if self.lanes.depth(lane) and self._allowed(lane)]
        if not waiting:
            return
        wait_ms = min(self._budget.wait_ms(lane, at_ms) or BUSY_MS for lane in waiting)
        at_s = self._loop.time() + min(wait_ms, LONGEST_TIMER_MS) / 1000
        if self._timer is not None:
            if self._timer.when() <= at_s:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.wake()
