"""The order service and the exchange behind it, by hand: takes what risk sends, and tells what a test says of it."""

from decimal import Decimal
from typing import Any

import msgspec

from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, OrderView, PlaceOrder, order_work

from .desk import Desk, update
from .world import ZERO, D, Exchange


class Venue:
    """Orders by client order id, in the order in which they were sent. What is told goes to the desk at once."""

    def __init__(self, desk: Desk, price: int = 100) -> None:
        self.desk = desk
        self.price = D(price)
        self.exchange = Exchange()
        self.orders: dict[str, OrderView] = {}
        self.cancelling: set[str] = set()
        self.amending: dict[str, Decimal] = {}
        self.placed: list[PlaceOrder] = []
        self._read: dict[str, int] = {}
        self._n = 0

    @property
    def live(self) -> list[str]:
        """Orders that have not ended."""
        return [name for name, view in self.orders.items() if view.state not in FINAL_STATES]

    def take(self) -> list[str]:
        """Take what was sent since: the names of the new orders."""
        new = []
        for stream in (self.desk.names.requests("orders"), self.desk.names.urgent("orders")):
            entries = self.desk.paper.streams.get(stream, [])
            for data in entries[self._read.get(stream, 0) :]:
                work = order_work.decode(data)
                if isinstance(work, PlaceOrder):
                    new.append(self._place(work))
                elif isinstance(work, CancelOrder):
                    self.cancelling.add(work.client_order_id)
                elif isinstance(work, AmendOrder):
                    self.amending[work.client_order_id] = work.quantity
            self._read[stream] = len(entries)
        return new

    def _place(self, work: PlaceOrder) -> str:
        assert work.client_order_id not in self.orders, "a name is used once"
        self.placed.append(work)
        self.orders[work.client_order_id] = OrderView(
            client_order_id=work.client_order_id,
            account_id=work.account_id,
            symbol=work.symbol,
            side=work.side,
            order_type=work.order_type,
            quantity=work.quantity,
            price=work.price,
            position_side=work.position_side,
            reduce_only=work.reduce_only,
            leverage=work.leverage,
            origin=work.origin,
            parent_id=work.parent_id,
            request_id=work.request_id,
            command=work.command,
            state="placing",
            version=0,
            created_ms=work.approved_ms,
            updated_ms=0,
            traceparent=work.traceparent,
        )
        return work.client_order_id

    # -- what happens to an order

    def accept(self, name: str) -> None:
        """It rests."""
        self._tell("active", self._after(name, state="active"))

    def fill(
        self, name: str, quantity: Decimal | None = None, price: Decimal | None = None, fee: Decimal = ZERO
    ) -> None:
        """An execution, of all that is left by default."""
        view = self.orders[name]
        left = view.quantity - view.executed_quantity
        quantity, price = quantity if quantity is not None else left, price if price is not None else self.price
        terms: dict[str, Any] = {"leg": view.position_side, "leverage": view.leverage, "commission": fee}
        _, fill = self.exchange.execute(view.account_id, view.symbol, view.side, quantity, price, **terms)
        executed = view.executed_quantity + quantity
        view = self._after(
            name,
            executed_quantity=executed,
            average_price=price,
            state="filled" if executed == view.quantity else "active",
        )
        self._tell("fill", view, fill=fill)

    def end(self, name: str, state: Any = "cancelled", code: str | None = None) -> None:
        """It ends without a further execution."""
        self._tell(state, self._after(name, state=state), error_code=code, error=code)

    def amend(self, name: str, quantity: Decimal) -> None:
        """It has been made smaller."""
        self._tell("amended", self._after(name, quantity=quantity))

    def refuse_amend(self, name: str) -> None:
        """It stays as it is."""
        self._tell("amend_failed", self._after(name))

    def _after(self, name: str, **changes: Any) -> OrderView:
        view = self.orders[name]
        number = view.exchange_order_id or len(self.orders) + 1000 * (list(self.orders).index(name) + 1)
        fields: dict[str, Any] = {"version": view.version + 1}
        if changes.get("state") not in ("failed",):
            fields["exchange_order_id"] = number
        self.orders[name] = msgspec.structs.replace(view, **fields, **changes)
        return self.orders[name]

    def _tell(self, cause: Any, view: OrderView, **fields: Any) -> None:
        self._n += 1
        self.desk.hear(update(cause, view, self._n, **fields))
