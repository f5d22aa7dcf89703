"""The way to the exchange: the WebSocket API while it is there, REST while it is not, behind one interface.

Owns the choice and what both say: `Sent` goes in; an answer, or nobody's answer, comes out. A batch always goes over
REST, the only one that has batches. Never signs, never decides what an answer means. Used by the sender.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from pms_common import metrics
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Flight, Operation, OrderState

_line_up = metrics.gauge("trading_line_up", "Whether orders can be sent this way (1) or not (0)", ["line"])


class Sent(NamedTuple):
    """A request at the venue."""

    operation: Operation
    order: OrderState
    flight: Flight
    at_s: float = 0.0
    """When, by the monotonic clock."""


Answered = Callable[[Sent, int, VenueError | None], None]
"""Told (request, exchange order id, error): error None means accepted."""
Lost = Callable[[Sent], None]
Up = Callable[[bool, str], None]


class Line(Protocol):
    """One way to send. What it is given it signs and writes at `flush` at the latest; `up` hears that it has come or
    gone, and why.
    """

    up: Up

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests that are not answered."""
        ...

    def room(self, operation: Operation) -> int:
        """How many requests it takes now without making them wait."""
        ...

    def send(self, operation: Operation, order: OrderState, flight: Flight) -> None:
        """Take one request."""
        ...

    def flush(self) -> None:
        """Write what was taken."""
        ...


class BatchLine(Line, Protocol):
    """A line that takes several requests as one."""

    def send_batch(self, operation: Operation, orders: Sequence[OrderState]) -> None:
        """Take requests of one operation (cancels: of one symbol) as one request."""
        ...


class Transport:
    """Both lines. `on_open` hears that requests can be sent again; there is no room while `may_send` is false."""

    def __init__(self, socket: Line, rest: BatchLine, up: Up, may_send: Callable[[], bool] = lambda: True) -> None:
        self._may_send = may_send
        self._socket = socket
        self._rest = rest
        self._up = up
        self._why = {"socket": "the trading socket is not connected", "rest": ""}
        self.on_open: Callable[[], None] | None = None
        socket.up, rest.up = self._socket_up, self._rest_up

    @property
    def in_flight(self) -> int:
        """Requests that are not answered."""
        return self._socket.in_flight + self._rest.in_flight

    def room(self, operation: Operation, batch: bool = False) -> int:
        """How many requests of this kind can go now."""
        line = self._rest if batch or not self._socket.connected else self._socket
        return line.room(operation) if line.connected and self._may_send() else 0

    def send(self, operation: Operation, order: OrderState, flight: Flight) -> None:
        """Send the order's next request the best way there is."""
        (self._socket if self._socket.connected else self._rest).send(operation, order, flight)

    def send_batch(self, operation: Operation, orders: Sequence[OrderState]) -> None:
        """Send the next requests of several orders as one."""
        self._rest.send_batch(operation, orders)

    def flush(self) -> None:
        """Write what was sent."""
        self._socket.flush()
        self._rest.flush()

    def _socket_up(self, ok: bool, why: str) -> None:
        self._change("socket", "" if ok else why)

    def _rest_up(self, ok: bool, why: str) -> None:
        self._change("rest", "" if ok else why)

    def _change(self, line: str, why: str) -> None:
        self._why[line] = why
        _line_up.labels(line).set(not why)
        down = all(self._why.values())
        self._up(not down, "; ".join(self._why.values()) if down else "")
        if not why and self.on_open is not None:
            self.on_open()
