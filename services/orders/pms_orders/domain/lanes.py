"""The lanes: which order's next request goes first.

Owns the waiting orders by urgency: cancel > liquidation > close > new > reprice, and within a lane the turn of the
accounts, so that one that asks for much does not make the others wait. An order waits in at most one place per lane,
and only for its next step, so messages about the same order keep their order: a newer amend target replaces the waiting
one, and a cancel overtakes it. Pure. Used by the sender.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator

from pms_orders.domain.order import Operation, OrderState, step
from pms_orders.domain.rate import Lane


def lane_of(order: OrderState, operation: Operation) -> Lane:
    """The lane of an order's next request."""
    if operation is Operation.CANCEL:
        return Lane.CANCEL
    if operation is Operation.AMEND:
        return Lane.REPRICE
    if order.place.origin == "LIQUIDATION":
        return Lane.LIQUIDATION
    return Lane.CLOSE if order.place.reduce_only else Lane.NEW


class _Turns:
    """Orders of one lane, taken from the accounts in turn."""

    __slots__ = ("_accounts", "size")

    def __init__(self) -> None:
        self.size = 0
        self._accounts: OrderedDict[str, deque[OrderState]] = OrderedDict()

    def put(self, order: OrderState) -> None:
        account_id = order.place.account_id
        waiting = self._accounts.get(account_id)
        if waiting is None:
            waiting = self._accounts[account_id] = deque()
        waiting.append(order)
        self.size += 1

    def take(self) -> OrderState:
        account_id, waiting = next(iter(self._accounts.items()))
        order = waiting.popleft()
        self.size -= 1
        if waiting:
            self._accounts.move_to_end(account_id)
        else:
            del self._accounts[account_id]
        return order

    def of(self, account_id: str) -> int:
        return len(self._accounts.get(account_id, ()))

    @property
    def accounts(self) -> int:
        return len(self._accounts)

    def drain(self) -> Iterator[OrderState]:
        """All, as they came, account by account."""
        drained, self._accounts, self.size = self._accounts, OrderedDict(), 0
        for waiting in drained.values():
            yield from waiting


class Lanes:
    """Orders with something to send, in the order in which it is to be sent."""

    def __init__(self) -> None:
        self._waiting = tuple(_Turns() for _ in Lane)
        self._entered: set[tuple[Lane, str]] = set()

    def __len__(self) -> int:
        return len(self._entered)

    def depth(self, lane: Lane) -> int:
        """Orders waiting in one lane."""
        return self._waiting[lane].size

    def crowded(self, order: OrderState, most: int) -> bool:
        """Whether the order's account has its fair part of `most` waiting new orders in the lane already."""
        waiting = self._waiting[Lane.NEW]
        own = waiting.of(order.place.account_id)
        return own > 0 and own * waiting.accounts >= most

    def enter(self, order: OrderState) -> Lane | None:
        """Queue the order for its next step; None where it has none or waits already."""
        operation = step(order)
        if operation is None:
            return None
        lane = lane_of(order, operation)
        place = (lane, order.client_order_id)
        if place in self._entered:
            return None
        self._entered.add(place)
        self._waiting[lane].put(order)
        return lane

    def unsent(self) -> list[OrderState]:
        """The orders whose placement waits. Drops, in all lanes, what is no longer its order's next step."""
        found: list[OrderState] = []
        for lane in Lane:
            for order in self._waiting[lane].drain():
                operation = step(order)
                if operation is not None and lane_of(order, operation) is lane:
                    self._waiting[lane].put(order)
                    if operation is Operation.PLACE:
                        found.append(order)
                else:
                    self._entered.discard((lane, order.client_order_id))
                    self.enter(order)
        return found

    def take(self, lane: Lane) -> OrderState | None:
        """The order whose request is the lane's next; what is no longer its order's step is dropped on the way."""
        waiting = self._waiting[lane]
        while waiting.size:
            order = waiting.take()
            self._entered.discard((lane, order.client_order_id))
            operation = step(order)
            if operation is not None and lane_of(order, operation) is lane:
                return order
            if operation is not None:
                self.enter(order)
        return None
