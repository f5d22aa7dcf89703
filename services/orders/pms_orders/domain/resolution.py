"""How an unclear order is cleared up: when to ask the exchange, and when its answer is conclusive.

Its times are of a monotonic clock, so that a step of the wall clock proves nothing.

Owns the schedule and the proof rule: a query says "not executed" only when it was asked later than the last possible
acceptance of the request (its timestamp + recvWindow) plus the lag of the venue's queries. Pure. Used by the resolver.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pms_orders.domain.order import Operation, OrderState, Terms
from pms_orders.domain.table import Kind

RECV_WINDOW_MS = 1_000
QUERY_LAG_MS = 2_000
"""Queries were seen to lag by 1.1 to 1.5 s behind the engine (binance-usdm facts, 5.7); the venue names no bound."""
SPOKEN_WITHIN_MS = 1_000
"""After an acknowledgement the feed speaks within milliseconds; silence this long is a reason to ask."""
FIRST_QUERY_MS = 250
_PAUSE_MS = (250, 500, 1_000, 2_000, 5_000)


@dataclass(slots=True)
class Case:
    """An order to be cleared up.

    `conclusive_ms`: from then on an absent order was never executed. `doubted`: it looks clear and may not be, so it
    is asked about once all the same.
    """

    order: OrderState
    next_ms: int
    conclusive_ms: int
    tries: int = 0
    doubted: bool = False

    def again(self, now_ms: int) -> None:
        """Ask again later, and at the conclusive moment at the latest once."""
        pause = _PAUSE_MS[min(self.tries, len(_PAUSE_MS) - 1)]
        self.tries += 1
        self.next_ms = now_ms + pause
        if now_ms < self.conclusive_ms < self.next_ms:
            self.next_ms = self.conclusive_ms


def open_case(order: OrderState, now_ms: int) -> Case:
    """A case for an order whose request was sent, or may have been, until now."""
    return Case(order, now_ms + FIRST_QUERY_MS, now_ms + RECV_WINDOW_MS + QUERY_LAG_MS)


def settled(order: OrderState) -> bool:
    """Whether nothing is unclear about the order any more."""
    if not order.whole:
        return False
    if order.final:
        return True
    lost = order.flight is not None and order.flight.lost
    silent = order.sent_ms > 0 and order.flight is None and order.status in ("placing", "cancelling")
    return not lost and not silent and order.status not in ("unknown", "amending")


def conclusion(order: OrderState, found_open: bool, asked_ms: int, case: Case) -> Kind | None:
    """What a query asked at `asked_ms` proves beyond its report; None where it proves nothing yet.

    Absent and conclusive: not executed, unless the exchange has named the order, for then its queries lag. Still open
    and conclusive: the cancel, or the lost amendment, was not executed; an amendment that was answered was, whatever
    its event. Nothing is proven of a request on its way, nor of a cancel that is to be sent again.
    """
    flying = order.flight is not None and not order.flight.lost
    if asked_ms < case.conclusive_ms or flying:
        return None
    if not found_open:
        never_taken = order.exchange_order_id is None and order.status in ("placing", "unknown")
        return Kind.ABSENT if never_taken else None
    if order.status == "cancelling":
        return None if order.wanted_cancel else Kind.CANCEL_REFUSED
    if order.status == "amending" and order.flight is None:
        return Kind.AMENDED
    if order.status == "amending" and _not_amended(order):
        return Kind.AMEND_REFUSED
    return None


def _not_amended(order: OrderState) -> bool:
    flight = order.flight
    if flight is None or flight.operation is not Operation.AMEND or not flight.lost or order.price is None:
        return False
    return flight.terms != Terms(order.price, order.quantity)


class Cases:
    """The orders that are to be cleared up, each once."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}

    def __len__(self) -> int:
        return len(self._cases)

    def __contains__(self, order: OrderState) -> bool:
        """Whether the order is being cleared up."""
        return order.client_order_id in self._cases

    def __iter__(self) -> Iterator[Case]:
        return iter(list(self._cases.values()))

    def open(self, order: OrderState, now_ms: int, doubted: bool = False) -> None:
        """Have the order cleared up. A request sent since moves the conclusive moment of an open case, a doubt of what
        is being asked about anyway does not.
        """
        case = open_case(order, now_ms)
        known = self._cases.setdefault(order.client_order_id, case)
        known.doubted = known.doubted or doubted
        known.next_ms = min(known.next_ms, case.next_ms)
        if not doubted:
            known.conclusive_ms = case.conclusive_ms

    def taken(self, order: OrderState, now_ms: int) -> None:
        """The exchange took a request of the order: what is asked before queries can show it proves nothing."""
        known = self._cases.get(order.client_order_id)
        if known is not None:
            known.conclusive_ms = open_case(order, now_ms).conclusive_ms

    def close(self, case: Case) -> None:
        """The order is clear."""
        self._cases.pop(case.order.client_order_id, None)

    def due(self, now_ms: int) -> list[Case]:
        """The cases to be asked about now."""
        return [case for case in self._cases.values() if case.next_ms <= now_ms]

    def next_ms(self) -> int | None:
        """When the next case is due."""
        return min((case.next_ms for case in self._cases.values()), default=None)
