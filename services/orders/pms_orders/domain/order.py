"""One order as the order service knows it.

Owns the record (`OrderState`), what is on its way to the exchange (`Flight`) and what still has to go (`step`).
Never decides a transition: that is `reducer`. Used by everything in this service.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from pms_common.contracts.bus.base import FINAL_STATES, OrderStatus
from pms_common.contracts.bus.orders import OrderView, PlaceOrder
from pms_common.decimals import ZERO

LONGEST_NUMBER = len(str(2**63))
"""Digits of an exchange order id, a 64-bit number at the venue: 19 of them are common."""


class Operation(StrEnum):
    """What can be asked of the exchange about an order."""

    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"


class Terms(NamedTuple):
    """What an amendment changes: price and total quantity."""

    price: Decimal
    quantity: Decimal


@dataclass(slots=True, eq=False)
class Flight:
    """The one request of an order that is at the exchange. `lost`: nobody will answer it, its outcome is not known."""

    operation: Operation
    sent_ms: int
    terms: Terms | None = None
    lost: bool = False


class End(NamedTuple):
    """How the exchange has ended an order of which executions are still missing here."""

    status: OrderStatus
    event_ms: int
    reason: str | None


@dataclass(slots=True, eq=False)
class OrderState:
    """An order: what was approved (`place`), what the exchange says, what is under way.

    `executed` is the highest cumulative quantity the exchange has named; `booked` the sum of the fills known here.
    Where they differ a fill is missing and has to be fetched, and an `end` that the exchange told waits for it, so that
    an order never ends before its executions. `terms_ms` is the exchange time of `price` and
    `quantity`, so that an older event cannot bring older terms back. `sent_ms` 0 means: never left this process.
    `amend_until_ms` is until when `wanted_amend` may leave it: the market moves on.
    `error_code` and `error` say why it was rejected or failed; `answered` that its public request has ended;
    `rests_at` are its prices in the self-trade index; `traceparent` is the context in which it is told of.
    """

    place: PlaceOrder
    created_ms: int
    updated_ms: int
    price: Decimal | None
    quantity: Decimal
    status: OrderStatus = "placing"
    exchange_order_id: int | None = None
    executed: Decimal = ZERO
    booked: Decimal = ZERO
    cost: Decimal = ZERO
    average_price: Decimal | None = None
    version: int = 0
    terms_ms: int = 0
    sent_ms: int = 0
    tries: int = 0
    suspect: bool = False
    flight: Flight | None = None
    wanted_cancel: str = ""
    wanted_amend: Terms | None = None
    amend_until_ms: int | None = None
    cancel_reason: str = ""
    end: End | None = None
    error_code: str | None = None
    error: str | None = None
    answered: bool = False
    rests_at: tuple[Decimal, ...] = ()
    trades: set[int] = field(default_factory=set)
    traceparent: str = ""

    @property
    def client_order_id(self) -> str:
        """The id under which the order is sent, at most once."""
        return self.place.client_order_id

    @property
    def final(self) -> bool:
        """Whether the order has ended."""
        return self.status in FINAL_STATES

    @property
    def may_rest(self) -> bool:
        """Whether it can wait in the book; one that cannot is executed or over within the instant of its arrival."""
        return self.place.order_type != "MARKET" and self.place.time_in_force not in ("IOC", "FOK")

    @property
    def whole(self) -> bool:
        """Whether every fill the exchange has counted is known here."""
        return self.booked >= self.executed


def register(place: PlaceOrder, now_ms: int) -> OrderState:
    """A new order, nothing sent. Of a leg (hedge mode) the venue takes no reduce-only flag (-4062)."""
    if place.reduce_only_on_venue and place.position_side != "BOTH":
        place = msgspec.structs.replace(place, reduce_only_on_venue=False)
    return OrderState(place, now_ms, now_ms, place.price, place.quantity, traceparent=place.traceparent)


def exchange_number(order_id: str) -> int | None:
    """The exchange order id that this id may be; None where it cannot be one."""
    if not (order_id.isascii() and order_id.isdigit() and len(order_id) <= LONGEST_NUMBER):
        return None
    number = int(order_id)
    return number if number < 2**63 else None


def too_late(order: OrderState, now_ms: int) -> bool:
    """Whether its wanted amendment is too old to be sent."""
    return order.amend_until_ms is not None and now_ms > order.amend_until_ms


def step(order: OrderState) -> Operation | None:
    """What is to be sent next for this order: nothing while something is in flight, unknown or over.

    A cancel does not wait for the truth about a lost amendment: it ends the order whatever became of that.
    """
    status = order.status
    if status == "unknown" or status in FINAL_STATES or order.end is not None:
        return None
    if order.flight is not None and not (order.flight.lost and order.wanted_cancel):
        return None
    if not order.sent_ms:
        return Operation.PLACE
    if order.wanted_cancel:
        return Operation.CANCEL
    if order.wanted_amend is not None and status != "cancelling":
        return Operation.AMEND
    return None


def may_rest_at(order: OrderState) -> tuple[Decimal, ...]:
    """The prices at which the order may be resting now or soon; none for a market order or one that has ended."""
    if order.price is None or order.end is not None or order.status in FINAL_STATES:
        return ()
    flight = order.flight
    if order.wanted_amend is None and (flight is None or flight.terms is None):
        return (order.price,)
    prices = [order.price]
    if order.wanted_amend is not None:
        prices.append(order.wanted_amend.price)
    if flight is not None and flight.terms is not None:
        prices.append(flight.terms.price)
    return tuple(prices)


def view(order: OrderState) -> OrderView:
    """The order for readers."""
    place = order.place
    return OrderView(
        client_order_id=place.client_order_id,
        account_id=place.account_id,
        symbol=place.symbol,
        side=place.side,
        order_type=place.order_type,
        quantity=order.quantity,
        price=order.price,
        time_in_force=place.time_in_force,
        position_side=place.position_side,
        reduce_only=place.reduce_only,
        leverage=place.leverage,
        origin=place.origin,
        parent_id=place.parent_id,
        request_id=place.request_id,
        command=place.command,
        price_cap=place.price_cap,
        notional_cap=place.notional_cap,
        state=order.status,
        exchange_order_id=order.exchange_order_id,
        executed_quantity=order.executed,
        average_price=order.average_price,
        version=order.version,
        created_ms=order.created_ms,
        updated_ms=order.updated_ms,
        traceparent=order.traceparent,
    )
