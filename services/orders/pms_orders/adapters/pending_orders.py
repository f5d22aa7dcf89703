"""`pending_orders`, the table that the JS application reads: a row for each limit order that has rested.

Owns the mapping to its words and the statement, which names only the columns that the table has: its generations
differ, and JS, not we, decides which one it is. A projection of the journal, written in the same transaction, which a
table that takes no row does not hold up; never read back. Used by the journal. Source of columns and words: the
application's Prisma schema.
"""

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.symbols import ccxt_symbol
from pms_common.db import Statement
from pms_common.db.shared_tables import columns_of, utc
from pms_common.logging import get_logger
from pms_orders.domain.order import OrderState

log = get_logger(__name__)

_ROW = {
    "id": "text",
    "sub_account_id": "text",
    "symbol": "text",
    "side": "text",
    "type": "text",
    "price": "double precision",
    "quantity": "double precision",
    "leverage": "double precision",
    "exchange_order_id": "text",
    "status": "text",
    "origin": "text",
    "parent_id": "text",
    "created_ms": "bigint",
    "updated_ms": "bigint",
}
_WRITTEN = {
    **{name: f"r.{name}" for name in _ROW if not name.endswith("_ms")},
    "client_order_id": "r.id",
    "created_at": utc("r.created_ms"),
    "updated_at": utc("r.updated_ms"),
    "filled_at": f"CASE r.status WHEN 'FILLED' THEN {utc('r.updated_ms')} END",
    "cancelled_at": f"CASE WHEN r.status IN ('CANCELLED', 'EXPIRED') THEN {utc('r.updated_ms')} END",
}
"""What each column is given."""
_CHANGING = ("price", "quantity", "exchange_order_id", "status", "updated_at", "filled_at", "cancelled_at")
_STATUSES = {"filled": "FILLED", "cancelled": "CANCELLED", "rejected": "CANCELLED", "expired": "EXPIRED"}
_TYPES = {"CHASE": "CHASE_LIMIT", "SCALPER": "SCALPER_LIMIT"}
_ORIGINS = frozenset({"MANUAL", "CHASE", "SCALPER", "TWAP", "TRAIL_STOP"})
"""The origins JS knows; it has no word for the others, which people ask for by hand."""
_NEVER_REST = frozenset({"IOC", "FOK"})
_TOLD = frozenset({"accepted", "active", "amended", "fill"})
"""A partial fill, too: it is the first that is heard of an order whose NEW was missed."""

_ACCOUNTS = text(
    "SELECT c.confrelid::regclass::text FROM pg_constraint AS c"
    " JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]"
    " WHERE c.conrelid = to_regclass('pending_orders') AND c.contype = 'f' AND a.attname = 'sub_account_id'"
)


class PendingOrders:
    """Rows of one table as it was found at the start."""

    def __init__(self, columns: set[str], accounts: str | None, symbol: Callable[[str], str]) -> None:
        self._symbol = symbol
        self.statement = Statement(_sql(columns, accounts), _ROW, latest_by=("id",), optional=True)

    def row(self, order: OrderState) -> tuple[Any, ...]:
        """The order in the table's words. Its quantities are for showing: JS keeps floats."""
        place = order.place
        number = order.exchange_order_id
        return (
            place.client_order_id,
            place.account_id,
            self._symbol(place.symbol),
            "LONG" if place.side == "BUY" else "SHORT",
            _TYPES.get(place.origin, "LIMIT"),
            float(order.price or 0),
            float(order.quantity),
            float(place.leverage),
            None if number is None else str(number),
            _STATUSES.get(order.status, "PENDING"),
            place.origin if place.origin in _ORIGINS else "MANUAL",
            place.parent_id,
            order.created_ms,
            order.updated_ms,
        )


def concerns(order: OrderState, cause: str) -> bool:
    """Whether this happening changes the order's row: one that rests, or has rested, at the exchange."""
    rests = order.price is not None and order.place.time_in_force not in _NEVER_REST
    return rests and order.exchange_order_id is not None and (cause in _TOLD or order.final)


def _sql(columns: set[str], accounts: str | None) -> str:
    names = [name for name in _WRITTEN if name in columns]
    changes = ", ".join(f"{name} = {_WRITTEN[name]}" for name in _CHANGING if name in columns)
    # A row of an account that JS does not know, or has deleted, would fail with the whole transaction.
    known = f" JOIN {accounts} AS a ON a.id = r.sub_account_id FOR KEY SHARE OF a" if accounts else ""
    return (
        "WITH r AS MATERIALIZED (SELECT * FROM :rows),"
        f" fresh AS (INSERT INTO pending_orders ({', '.join(names)})"
        f" SELECT {', '.join(_WRITTEN[name] for name in names)} FROM r{known} ON CONFLICT DO NOTHING)"
        f" UPDATE pending_orders AS o SET {changes} FROM r WHERE o.id = r.id"
    )


async def adopt(engine: AsyncEngine, symbols: Literal["native", "ccxt"]) -> PendingOrders | None:
    """The table as it is; None, which is logged, where there is none or it wants what we do not know."""
    async with engine.connect() as connection:
        columns = await columns_of(connection, "pending_orders")
        accounts = (await connection.execute(_ACCOUNTS)).scalar()
    unknown = sorted(name for name, required in columns.items() if required and name not in _WRITTEN)
    if unknown or "id" not in columns:
        log.error("pending_orders_not_written", why="no such table" if not columns else f"unknown columns {unknown}")
        return None
    return PendingOrders(set(columns), accounts, ccxt_symbol if symbols == "ccxt" else str)
