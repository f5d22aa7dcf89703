"""Which way requests go, and whether there is one."""

from collections.abc import Sequence

from tests.unit.pms_orders.orders import NOW, sent

from pms_orders.adapters.binance.transport import Transport, Up
from pms_orders.domain.order import Flight, Operation, OrderState

PLACE = Operation.PLACE


class Way:
    """A line that notes what it is given."""

    up: Up

    def __init__(self, connected: bool) -> None:
        self.connected = connected
        self.given: list[str] = []
        self.in_flight = 2

    def room(self, _operation: Operation) -> int:
        return 3

    def send(self, _operation: Operation, order: OrderState, _flight: Flight) -> None:
        self.given.append(order.client_order_id)

    def send_batch(self, _operation: Operation, orders: Sequence[OrderState]) -> None:
        self.given.append("+".join(order.client_order_id for order in orders))

    def flush(self) -> None:
        self.given.append("flush")


def test_the_socket_first_rest_without_it_and_batches_always_over_rest() -> None:
    socket, rest, ups = Way(True), Way(True), list[tuple[bool, str]]()
    transport = Transport(socket, rest, lambda ok, why: ups.append((ok, why)))
    transport.send(PLACE, sent("x1"), Flight(PLACE, NOW))
    transport.send_batch(PLACE, [sent("x2"), sent("x3")])
    socket.connected = False
    transport.send(PLACE, sent("x4"), Flight(PLACE, NOW))
    assert (socket.given, rest.given) == (["x1"], ["x2+x3", "x4"])
    rest.connected = False
    assert transport.room(PLACE) == 0
    socket.connected = True
    assert transport.in_flight == 4
    assert transport.room(PLACE) == 3 and transport.room(PLACE, batch=True) == 0


def test_there_is_no_way_only_when_both_are_gone() -> None:
    socket, rest, ups, woken = Way(False), Way(True), list[tuple[bool, str]](), list[int]()
    transport = Transport(socket, rest, lambda ok, why: ups.append((ok, why)))
    transport.on_open = lambda: woken.append(1)
    socket.up(False, "gone")
    rest.up(False, "refused")
    assert ups == [(True, ""), (False, "gone; refused")] and not woken
    rest.up(True, "")
    assert ups[-1] == (True, "") and woken


def test_there_is_no_room_without_the_lease() -> None:
    held = [False]
    transport = Transport(Way(True), Way(True), lambda ok, why: None, lambda: held[0])
    assert transport.room(PLACE) == transport.room(PLACE, batch=True) == 0
    held[0] = True
    assert transport.room(PLACE) == 3
