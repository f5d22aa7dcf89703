"""Cancel-and-place: the order that follows one which cannot be amended.

Owns when an amendment has to become a replacement, and the form of the new order. Pure. Used by the amendments, which
have it placed only when the old order has ended.
"""

import msgspec

from pms_common.contracts.bus.orders import AmendOrder, PlaceOrder
from pms_orders.domain.order import OrderState

REPLACED = "replaced"
"""Why the old order was cancelled."""
REPLACE_WITHIN_MS = 10_000
"""How long the remainder may wait to be sent: the life of a command that opens risk."""
NOT_AMENDABLE = frozenset({-5025, -5026})
"""The venue amends limit orders only, and each at most 10,000 times."""


def successor(order: OrderState, wish: AmendOrder, asked_ms: int) -> PlaceOrder | None:
    """The order for what the old one, which has ended, has left of the wish; None where nothing is left.

    It is as old as the wish: what has overtaken that (a barrier, a trading state) stops it too.
    """
    quantity = wish.quantity - order.executed
    if order.status == "filled" or quantity <= 0:
        return None
    cap = order.place.notional_cap
    return msgspec.structs.replace(
        order.place,
        client_order_id=wish.replace_as,
        price=wish.price,
        quantity=quantity,
        answer=False,
        warnings=(),
        approved_ms=asked_ms,
        asked_ms=asked_ms,
        expires_at_ms=asked_ms + REPLACE_WITHIN_MS,
        notional_cap=None if cap is None else cap - order.cost,
        traceparent=wish.traceparent or order.place.traceparent,
    )
