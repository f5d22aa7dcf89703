"""Events of one order, made by risk for manual orders and algo children alike."""

from __future__ import annotations

from decimal import Decimal

from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.base import OrderState, OrderType, Origin, Side, always
from pms_common.contracts.events.base import Event


class OrderEvent(Event, frozen=True, kw_only=True):
    """What every order event tells.

    `orderId` equals `clientOrderId` and is what `cancel` takes. `price` is always a number, since browsers format
    it: the limit price; of a market order the price it was approved at, once filled its average fill price.
    `fee` and the `last…` fields are null where the event is no fill. `suppressToast` is true for algo children.
    """

    client_order_id: str
    order_id: str
    exchange_order_id: str | None
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal
    state: OrderState
    filled_qty: Decimal
    avg_fill_price: Decimal | None
    last_fill_price: Decimal | None
    last_fill_qty: Decimal | None
    fee: Decimal | None
    fee_asset: str | None
    reduce_only: bool
    origin: Origin
    parent_id: str | None
    suppress_toast: bool = always(False)


class OrderPlaced(OrderEvent, frozen=True, kw_only=True, tag="order_placed"):
    """Sent to the exchange. Which level or lot of what it is stands here too (`twapLot` from 1)."""

    notional: Decimal
    leverage: int
    scale_index: int | None = None
    scale_total: int | None = None
    twap_lot: int | None = None
    twap_total: int | None = None
    twap_id: str | None = None
    twap_basket_id: str | None = None


class OrderActive(OrderEvent, frozen=True, kw_only=True, tag="order_active"):
    """Confirmed by the exchange's feed as resting, or amended."""


class OrderPartial(OrderEvent, frozen=True, kw_only=True, tag="order_partial"):
    """Executed in part."""

    account: AccountSnapshot


class OrderFilled(OrderEvent, frozen=True, kw_only=True, tag="order_filled"):
    """Executed in full."""

    account: AccountSnapshot


class OrderCancelled(OrderEvent, frozen=True, kw_only=True, tag="order_cancelled"):
    """Ended at the exchange without being filled; `reason` is its status: CANCELED, EXPIRED, REJECTED, …"""

    reason: str
    account: AccountSnapshot


class OrderFailed(OrderEvent, frozen=True, kw_only=True, tag="order_failed"):
    """Refused synchronously by the exchange, or never sent."""

    error: str
    error_code: str
