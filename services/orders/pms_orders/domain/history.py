"""An order's history: what the journal keeps of each happening, and the order that follows from all of it.

Owns the form of a transition and the way back from transitions and executions to the order, and on to what was told of
it and not journalled any more. Pure. Used by the journal (what to write), by the recall (what was read), by the
recovery and by the replay, which compares both.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from pms_common.contracts.bus.base import OrderStatus
from pms_common.contracts.bus.orders import Fill, OrderUpdate, PlaceOrder
from pms_orders.domain.order import OrderState, register


class Transition(NamedTuple):
    """The order after a happening; the names are those of the journal's columns. Source of each: `OrderState`.

    `status` is `cancelling` from the moment a cancel is wanted, whatever has been sent.
    """

    status: OrderStatus
    version: int
    exchange_order_id: int | None
    price: Decimal | None
    quantity: Decimal
    executed_quantity: Decimal
    average_price: Decimal | None
    terms_ms: int
    sent_ms: int
    updated_ms: int
    error_code: str | None
    error: str | None


def transition(order: OrderState) -> Transition:
    """The order as it is now."""
    return Transition(
        "cancelling" if order.wanted_cancel and not order.final else order.status,
        order.version,
        order.exchange_order_id,
        order.price,
        order.quantity,
        order.executed,
        order.average_price,
        order.terms_ms,
        order.sent_ms,
        order.updated_ms,
        order.error_code,
        order.error,
    )


def rebuild(place: PlaceOrder, created_ms: int, transitions: Iterable[Transition], fills: Iterable[Fill]) -> OrderState:
    """The order as its history, in the order in which it was written, and its executions tell it."""
    order = register(place, created_ms)
    for after in transitions:
        if after.version >= order.version:
            _take(order, after)
    for fill in fills:
        book(order, fill.trade_id, fill.quantity, fill.price)
    return order


def _take(order: OrderState, after: Transition) -> None:
    order.status = after.status
    order.version = after.version
    order.exchange_order_id = after.exchange_order_id
    order.price = after.price
    order.quantity = after.quantity
    order.executed = after.executed_quantity
    order.average_price = after.average_price
    order.terms_ms = after.terms_ms
    order.sent_ms = after.sent_ms
    order.updated_ms = after.updated_ms
    order.error_code = after.error_code
    order.error = after.error


def book(order: OrderState, trade_id: int, quantity: Decimal, price: Decimal) -> None:
    """Count an execution that the journal has."""
    order.trades.add(trade_id)
    order.booked += quantity
    order.cost += quantity * price
    order.executed = max(order.executed, order.booked)


def catch_up(order: OrderState, told: OrderUpdate) -> bool:
    """Bring the order to where its last writer told it to be; whether that is news."""
    view, fill = told.order, told.fill
    missed = fill is not None and fill.trade_id not in order.trades
    if view.version < order.version or (view.version == order.version and not missed):
        return False
    terms_changed = (view.price, view.quantity) != (order.price, order.quantity)
    left = view.exchange_order_id is not None
    after = Transition(
        view.state,
        view.version,
        view.exchange_order_id,
        view.price,
        view.quantity,
        view.executed_quantity,
        view.average_price,
        told.event_ms if terms_changed else order.terms_ms,
        order.sent_ms or (view.created_ms if left else 0),
        view.updated_ms,
        told.error_code or order.error_code,
        told.error or order.error,
    )
    _take(order, after)
    if fill is not None and missed:
        book(order, fill.trade_id, fill.quantity, fill.price)
    return True


def differences(kept: OrderState, rebuilt: OrderState) -> list[str]:
    """In what the order that was kept differs from the one its history tells; empty where it does not."""
    pairs = zip(Transition._fields, transition(kept), transition(rebuilt), strict=True)
    return [f"{name}: {here}, by its history {there}" for name, here, there in pairs if here != there]
