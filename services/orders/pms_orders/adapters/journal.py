"""The order service's tables: what is written to them off the hot path, and what is read back at start.

Owns the statements and the rows. Writing goes through `GroupCommit`, so it never makes anyone wait; a row of an older
version never replaces a newer one, and a fill is stored once by (symbol, trade id, exchange order id).
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import Fill, PlaceOrder
from pms_common.db import GroupCommit, Statement
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_orders.domain.order import OrderState, exchange_number

log = get_logger(__name__)

_STATE = {
    "client_order_id": "text",
    "status": "text",
    "version": "integer",
    "exchange_order_id": "bigint",
    "price": "numeric",
    "quantity": "numeric",
    "executed_quantity": "numeric",
    "average_price": "numeric",
    "terms_ms": "bigint",
    "sent_ms": "bigint",
    "updated_ms": "bigint",
    "error_code": "text",
    "error": "text",
}
REGISTERED = Statement(
    "INSERT INTO pms_orders.orders (client_order_id, account_id, symbol, place, created_ms, status, version, price,"
    " quantity, executed_quantity, terms_ms, sent_ms, updated_ms)"
    " SELECT client_order_id, account_id, symbol, place, created_ms, 'placing', 0, price, quantity, 0, 0, 0, created_ms"
    " FROM :rows ON CONFLICT (client_order_id) DO NOTHING",
    {
        "client_order_id": "text",
        "account_id": "text",
        "symbol": "text",
        "place": "json",
        "created_ms": "bigint",
        "price": "numeric",
        "quantity": "numeric",
    },
)
CHANGED = Statement(
    f"UPDATE pms_orders.orders AS o SET ({', '.join(list(_STATE)[1:])})"
    f" = ({', '.join(f'r.{name}' for name in list(_STATE)[1:])})"
    " FROM :rows WHERE o.client_order_id = r.client_order_id AND o.version <= r.version",
    _STATE,
    latest_by=("client_order_id",),
)
FILLED = Statement(
    "INSERT INTO pms_orders.fills (symbol, trade_id, exchange_order_id, client_order_id, account_id, side, price,"
    " quantity, commission, commission_asset, realized_pnl, maker, trade_ms)"
    " SELECT * FROM :rows ON CONFLICT (symbol, trade_id, exchange_order_id) DO NOTHING",
    {
        "symbol": "text",
        "trade_id": "bigint",
        "exchange_order_id": "bigint",
        "client_order_id": "text",
        "account_id": "text",
        "side": "text",
        "price": "numeric",
        "quantity": "numeric",
        "commission": "numeric",
        "commission_asset": "text",
        "realized_pnl": "numeric",
        "maker": "boolean",
        "trade_ms": "bigint",
    },
)
GATED = Statement(
    "INSERT INTO pms_orders.gates (account_id, symbol, state) SELECT * FROM :rows"
    " ON CONFLICT (account_id, symbol) DO UPDATE SET state = excluded.state",
    {"account_id": "text", "symbol": "text", "state": "text"},
    latest_by=("account_id", "symbol"),
)
DATABASE_ERRORS = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What reading may raise: connecting does not wrap asyncpg's errors; a time-out is an OSError."""
STATEMENTS = (REGISTERED, CHANGED, FILLED, GATED)


class Journal:
    """Rows of orders, fills and gates into the group-committed journal."""

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self.then = commits.then
        self.flush = commits.flush

    @property
    def lag_s(self) -> float:
        """Age of the oldest row that is not committed, in seconds."""
        return self._commits.lag_seconds

    def registered(self, order: OrderState, raw: bytes) -> None:
        """A new order, with the request as it came."""
        place = order.place
        row = (place.client_order_id, place.account_id, place.symbol, raw.decode(), order.created_ms)
        self._commits.add(REGISTERED, (*row, order.price, order.quantity))

    def changed(self, order: OrderState) -> None:
        """The order as it is now; one that is to be cancelled as cancelling, whatever has been sent."""
        status = "cancelling" if order.wanted_cancel and not order.final else order.status
        row = (order.place.client_order_id, status, order.version, order.exchange_order_id, order.price)
        quantities = (order.quantity, order.executed, order.average_price)
        times = (order.terms_ms, order.sent_ms, order.updated_ms)
        self._commits.add(CHANGED, (*row, *quantities, *times, order.error_code, order.error))

    def filled(self, order: OrderState, fill: Fill) -> None:
        """One execution."""
        place = order.place
        whose = (place.symbol, fill.trade_id, order.exchange_order_id, place.client_order_id, place.account_id)
        money = (fill.price, fill.quantity, fill.commission, fill.commission_asset, fill.realized_pnl)
        self._commits.add(FILLED, (*whose, place.side, *money, fill.maker, fill.trade_ms))

    def gated(self, account_id: str, symbol: str, state: str) -> None:
        """A trading state."""
        self._commits.add(GATED, (account_id, symbol, state))


@dataclass(frozen=True, slots=True)
class Restored:
    """What the last writer left."""

    live: list[OrderState]
    ended: list[OrderState]
    gates: list[tuple[str, str, str]]
    recent_fills: dict[str, list[Fill]]
    """Fills of the orders that have changed since `recent_since_ms`, by client order id."""
    recent_since_ms: int


_place = msgspec.json.Decoder(PlaceOrder)
_FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
_LIVE = text(
    f"SELECT *, place::text AS placed FROM pms_orders.orders WHERE status NOT IN ({_FINAL}) ORDER BY created_ms"
)
_ENDED = text(
    f"SELECT *, place::text AS placed FROM pms_orders.orders WHERE status IN ({_FINAL})"
    " ORDER BY updated_ms DESC LIMIT :bound"
)
_ONE = text(
    "SELECT *, place::text AS placed FROM pms_orders.orders"
    " WHERE client_order_id = :name OR exchange_order_id = :number ORDER BY updated_ms DESC LIMIT 2"
)
_FILLS = text(
    "SELECT client_order_id, trade_id, price, quantity FROM pms_orders.fills WHERE client_order_id = ANY(:names)"
)
_PAGE = text(
    "SELECT * FROM pms_orders.fills WHERE (trade_ms, symbol, trade_id, exchange_order_id)"
    " > (:trade_ms, :symbol, :trade_id, :exchange_order_id)"
    " ORDER BY trade_ms, symbol, trade_id, exchange_order_id LIMIT :bound"
)
_NAMED = text("SELECT *, place::text AS placed FROM pms_orders.orders WHERE client_order_id = ANY(:names)")
_GATES = text("SELECT account_id, symbol, state FROM pms_orders.gates")


_NEWEST = text("SELECT coalesce(max(updated_ms), 0) FROM pms_orders.orders")
_RECENT = text(
    "SELECT f.* FROM pms_orders.fills f JOIN pms_orders.orders o USING (client_order_id)"
    " WHERE o.updated_ms >= :since ORDER BY f.trade_id"
)
REPEAT_MS = 60_000
"""How much before Redis last heard of the journal is told again: the clocks of exchange and machines differ, and a
killed writer had not got all of it out."""
MAX_REPEAT_MS = 3_600_000
"""Redis behind the journal by more than this is an alarm; what is older its readers have to ask for."""


async def restore(engine: AsyncEngine, max_ended: int, heard_ms: int) -> Restored:
    """Read back the live orders with their fills, the last ended ones, the gates, and what Redis may not have heard.

    `heard_ms` is when Redis was last told something.
    """
    async with engine.connect() as connection:
        live = [_order(row) for row in (await connection.execute(_LIVE)).mappings()]
        ended = [_order(row) for row in (await connection.execute(_ENDED, {"bound": max_ended})).mappings()]
        both = {order.client_order_id: order for order in (*live, *ended)}
        fills = await connection.execute(_FILLS, {"names": list(both)})
        _book(both, fills.mappings())
        gates = [(row.account_id, row.symbol, row.state) for row in await connection.execute(_GATES)]
        since_ms = _recent_since((await connection.execute(_NEWEST)).scalar_one(), heard_ms)
        recent: dict[str, list[Fill]] = {}
        for row in (await connection.execute(_RECENT, {"since": since_ms})).mappings():
            recent.setdefault(row["client_order_id"], []).append(_fill(row))
    return Restored(live, ended[::-1], gates, recent, since_ms)


def _recent_since(newest_ms: int, heard_ms: int) -> int:
    bound_ms = newest_ms - MAX_REPEAT_MS
    since_ms = min(newest_ms, heard_ms) - REPEAT_MS
    if newest_ms and since_ms < bound_ms:
        log.error("redis_far_behind_journal", heard_ms=heard_ms, journal_ms=newest_ms, retold_since_ms=bound_ms)
        return bound_ms
    return since_ms


async def find_one(engine: AsyncEngine, order_id: str) -> OrderState | None:
    """An order by client or exchange order id, however long ago; None where none or two have it.

    Raises one of `DATABASE_ERRORS`.
    """
    if not (order_id.isascii() and order_id.isprintable()):
        return None  # no order has such an id, and PostgreSQL would not take every such text
    number = exchange_number(order_id)
    async with engine.connect() as connection:
        rows = (await connection.execute(_ONE, {"name": order_id, "number": number})).mappings().all()
    return _order(rows[0]) if len(rows) == 1 else None


async def fills_since(engine: AsyncEngine, since_ms: int, page: int) -> AsyncIterator[list[tuple[str, Fill]]]:
    """The executions traded since then, by trade time, in pages: client order id and fill. Raises `DATABASE_ERRORS`."""
    after: dict[str, Any] = {"trade_ms": since_ms, "symbol": "", "trade_id": 0, "exchange_order_id": 0}
    while True:
        async with engine.connect() as connection:
            rows = (await connection.execute(_PAGE, {**after, "bound": page})).mappings().all()
        if rows:
            yield [(row["client_order_id"], _fill(row)) for row in rows]
        if len(rows) < page:
            return
        after = {name: rows[-1][name] for name in after}


async def orders_named(engine: AsyncEngine, names: list[str]) -> dict[str, OrderState]:
    """Orders by client order id, as the journal has them. Raises `DATABASE_ERRORS`."""
    if not names:
        return {}
    async with engine.connect() as connection:
        rows = (await connection.execute(_NAMED, {"names": names})).mappings().all()
    return {row["client_order_id"]: _order(row) for row in rows}


def _order(row: RowMapping) -> OrderState:
    place = _place.decode(row["placed"])
    return OrderState(
        place,
        row["created_ms"],
        row["updated_ms"],
        row["price"],
        row["quantity"],
        status=row["status"],
        exchange_order_id=row["exchange_order_id"],
        executed=row["executed_quantity"],
        average_price=row["average_price"],
        version=row["version"],
        terms_ms=row["terms_ms"],
        sent_ms=row["sent_ms"],
        error_code=row["error_code"],
        error=row["error"],
    )


def _fill(row: RowMapping) -> Fill:
    return Fill(
        trade_id=row["trade_id"],
        price=row["price"],
        quantity=row["quantity"],
        commission=row["commission"],
        commission_asset=row["commission_asset"],
        realized_pnl=row["realized_pnl"],
        maker=row["maker"],
        trade_ms=row["trade_ms"],
    )


def _book(orders: dict[str, OrderState], fills: Iterable[Any]) -> None:
    for fill in fills:
        order = orders[fill["client_order_id"]]
        order.trades.add(fill["trade_id"])
        order.booked += fill["quantity"]
        order.cost += fill["quantity"] * fill["price"]
    for order in orders.values():
        order.executed = max(order.executed, order.booked, ZERO)
