"""The lanes: which order's next request goes first.

Owns the waiting orders by urgency: cancel > close > new > reprice. An order waits in at most one place per lane, and
only for its next step, so messages about the same order keep their order: a newer amend target replaces the waiting
one, and a cancel overtakes it. Pure. Used by the order manager's pump.
"""

from collections import deque
from collections.abc import Callable

from pms_orders.domain.order import Operation, OrderState, step
from pms_orders.domain.rate import Lane


def lane_of(order: OrderState, operation: Operation) -> Lane:
    """The lane of an order's next request."""
    if operation is Operation.CANCEL:
        return Lane.CANCEL
    if operation is Operation.AMEND:
        return Lane.REPRICE
    closing = order.place.reduce_only or order.place.origin == "LIQUIDATION"
    return Lane.CLOSE if closing else Lane.NEW


class Lanes:
    """Orders with something to send, in the order in which it is to be sent."""

    def __init__(self) -> None:
        self._waiting: tuple[deque[OrderState], ...] = tuple(deque() for _ in Lane)
        self._entered: set[tuple[Lane, str]] = set()

    def __len__(self) -> int:
        return len(self._entered)

    def depth(self, lane: Lane) -> int:
        """Orders waiting in one lane."""
        return len(self._waiting[lane])

    def enter(self, order: OrderState) -> bool:
        """Queue the order for its next step; False where it has none or waits already."""
        operation = step(order)
        if operation is None:
            return False
        lane = lane_of(order, operation)
        place = (lane, order.client_order_id)
        if place in self._entered:
            return False
        self._entered.add(place)
        self._waiting[lane].append(order)
        return True

    def unsent(self) -> list[OrderState]:
        """The orders whose placement waits. Drops, in all lanes, what is no longer its order's next step."""
        found: list[OrderState] = []
        for lane in Lane:
            waiting = self._waiting[lane]
            for _ in range(len(waiting)):
                order = waiting.popleft()
                operation = step(order)
                if operation is not None and lane_of(order, operation) is lane:
                    waiting.append(order)
                    if operation is Operation.PLACE:
                        found.append(order)
                else:
                    self._entered.discard((lane, order.client_order_id))
                    self.enter(order)
        return found

    def pop(self, admits: Callable[[Lane], bool]) -> tuple[Lane, Operation, OrderState] | None:
        """The most urgent request that may go now. What is no longer the order's next step is dropped on the way."""
        for lane in Lane:
            waiting = self._waiting[lane]
            while waiting and admits(lane):
                order = waiting.popleft()
                self._entered.discard((lane, order.client_order_id))
                operation = step(order)
                if operation is not None and lane_of(order, operation) is lane:
                    return lane, operation, order
                if operation is not None:
                    self.enter(order)
        return None
