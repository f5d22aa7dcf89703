"""Commands that place, check, change and cancel orders.

Meaning of each field: the class that holds it. Read by risk (`cancel`, `cancel_all`: by orders).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec

from pms_common.contracts.base import TimeInForce, Wire
from pms_common.contracts.commands.base import OPENING_LIFE_MS, AccountRule, Command, Owner, WaitFor
from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.rules import (
    Alias,
    Bool,
    Id,
    Leverage,
    Missing,
    Number,
    OneOf,
    OrderSide,
    Price,
    Quantity,
    Report,
    Symbol,
    TimeMs,
)
from pms_common.contracts.shapes import Items

MAX_LEGS = 100


class Trade(Command, frozen=True, kw_only=True):
    """A market order. With `max_slippage_pct` it is sent as IOC at that distance from the touch at most."""

    TYPE: ClassVar[str] = "trade"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    symbol: Symbol
    side: OrderSide
    quantity: Quantity
    leverage: Leverage
    reduce_only: Bool = False
    max_slippage_pct: Annotated[Decimal | None, Number(gt=0, le=50)] = None


class Validate(Trade, frozen=True, kw_only=True):
    """Everything a `trade` is checked for; nothing is sent."""

    TYPE: ClassVar[str] = "validate"


class Limit(Command, frozen=True, kw_only=True):
    """A limit order. `post_only` is the same as time in force GTX; GTD needs `good_till_date_ms`."""

    TYPE: ClassVar[str] = "limit"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    symbol: Symbol
    side: OrderSide
    quantity: Quantity
    price: Price
    leverage: Leverage
    reduce_only: Bool = False
    time_in_force: Annotated[TimeInForce, OneOf(("GTC", "IOC", "FOK", "GTX", "GTD"))] = "GTC"
    post_only: Bool = False
    good_till_date_ms: TimeMs | None = msgspec.field(default=None, name="goodTillDate")

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        force = given.get("time_in_force", "GTX" if given.get("post_only") else "GTC")
        if given.get("post_only") and force in ("IOC", "FOK", "GTD"):
            report.refuse("postOnly", f"cannot be given together with timeInForce {force}")
        if force == "GTD" and "good_till_date_ms" not in given:
            report.refuse("goodTillDate", "is required with timeInForce GTD")


class ScaleLevel(Wire, frozen=True, kw_only=True):
    """One resting order of a scale."""

    price: Price
    quantity: Quantity


class Scale(Command, frozen=True, kw_only=True):
    """2 to 30 limit orders on one side, at prices of their own."""

    TYPE: ClassVar[str] = "scale"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    symbol: Symbol
    side: OrderSide
    leverage: Leverage
    orders: Annotated[
        tuple[ScaleLevel, ...],
        Items(ScaleLevel, 2, 30, ErrorCode.SCALE_INVALID_ORDER, ErrorCode.SCALE_INVALID_RANGE),
        Alias("levels"),
    ]

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        seen: set[Decimal] = set()
        for i, level in enumerate(given.get("orders") or ()):
            if level is not None and level.price in seen:
                report.refuse(f"orders[{i}].price", "repeats the price of another level", ErrorCode.SCALE_INVALID_ORDER)
            elif level is not None:
                seen.add(level.price)


class BasketLeg(Wire, frozen=True, kw_only=True):
    """One market order of a basket."""

    symbol: Symbol
    side: OrderSide
    quantity: Quantity
    leverage: Leverage


class Basket(Command, frozen=True, kw_only=True):
    """Market orders checked as one: all legs or none are sent."""

    TYPE: ClassVar[str] = "basket"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    legs: Annotated[tuple[BasketLeg, ...], Items(BasketLeg, 1, MAX_LEGS), Alias("items")]
    basket_name: Id = "Unnamed Basket"


class OneOrder(Command, frozen=True, kw_only=True):
    """Base of the commands that name one order; `orderId` and `clientOrderId` are the same id."""

    ACCOUNT: ClassVar[AccountRule] = "by_object"
    client_order_id: Annotated[Id, Alias("orderId"), Missing(ErrorCode.VALIDATION_CLIENT_ORDER_ID_REQUIRED)]


class Cancel(OneOrder, frozen=True, kw_only=True):
    """Cancel one order; the answer tells its final state."""

    TYPE: ClassVar[str] = "cancel"
    OWNER: ClassVar[Owner] = "orders"
    WAIT_FOR: ClassVar[WaitFor] = "final"


class Amend(OneOrder, frozen=True, kw_only=True):
    """Change price, quantity (the order's total, not the rest) or both of a resting order."""

    TYPE: ClassVar[str] = "amend"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    price: Price | None = None
    quantity: Quantity | None = None

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        if "price" not in given and "quantity" not in given:
            report.refuse("price", "is required: give price, quantity or both")


class CancelAll(Command, frozen=True, kw_only=True):
    """Cancel all orders of one account (on one symbol); algos' orders only with `include_algos`, which ends
    the algos too."""

    TYPE: ClassVar[str] = "cancel_all"
    OWNER: ClassVar[Owner] = "orders"
    symbol: Symbol | None = None
    include_algos: Bool = False
