"""An account's ended orders, newest first, from the journal's table. Never used on the hot path."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.contracts.history import ClosedOrder, Page
from pms_common.histories import page, place, rows

_ENDED = (
    "SELECT client_order_id AS key, updated_ms AS at_ms, place::text AS place, exchange_order_id, price, quantity,"
    " executed_quantity, average_price, status, error, error_code, created_ms FROM pms_orders.orders"
    " WHERE account_id = :account AND status IN ('filled', 'cancelled', 'expired', 'rejected', 'failed')"
    " AND (updated_ms, client_order_id) < (:at, :key) ORDER BY updated_ms DESC, client_order_id DESC LIMIT :most"
)
_placed = msgspec.json.Decoder(PlaceOrder)


async def closed_orders(engine: AsyncEngine, account_id: str, before: str, most: int) -> Page:
    """Orders that have ended, by the time of their end."""
    at, key = place(before)
    return page(await rows(engine, _ENDED, account=account_id, at=at, key=key, most=most + 1), most, _item)


def _item(row: Mapping[str, Any]) -> ClosedOrder:
    placed = _placed.decode(row["place"])
    number = row["exchange_order_id"]
    return ClosedOrder(
        client_order_id=row["key"],
        order_id=row["key"],
        exchange_order_id=None if number is None else str(number),
        symbol=placed.symbol,
        side=placed.side,
        order_type=placed.order_type,
        quantity=row["quantity"],
        price=row["price"],
        filled_qty=row["executed_quantity"],
        avg_fill_price=row["average_price"],
        state=row["status"],
        reduce_only=placed.reduce_only,
        origin=placed.origin,
        parent_id=placed.parent_id,
        error=row["error"],
        error_code=row["error_code"],
        created_at_ms=row["created_ms"],
        ended_at_ms=row["at_ms"],
    )
