"""What the journal remembers: orders, executions and gates, read at a start and when something is told again.

Owns the queries; writes nothing. What is *late* is decided by the journal's own time, never by the exchange's: an
execution may be hours old when it is heard of. Used by the recovery, the retelling and the public commands.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import Fill, PlaceOrder
from pms_common.logging import get_logger
from pms_orders.domain.history import Transition, book, rebuild
from pms_orders.domain.order import OrderState, exchange_number

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What the last writer left."""

    live: list[OrderState]
    ended: list[OrderState]
    gates: list[tuple[str, str, str]]
    recent: dict[str, list[Fill]]
    """What Redis may not have heard of: the orders that have changed of late, with their executions of late."""
    journalled_ms: int
    """When the last transition was journalled; 0 where there is none."""


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
    "SELECT * FROM pms_orders.fills WHERE (journalled_ms, symbol, trade_id, exchange_order_id)"
    " > (:journalled_ms, :symbol, :trade_id, :exchange_order_id)"
    " AND (CAST(:symbols AS text[]) IS NULL OR symbol = ANY(:symbols))"
    " ORDER BY journalled_ms, symbol, trade_id, exchange_order_id LIMIT :bound"
)
_NAMED = text("SELECT *, place::text AS placed FROM pms_orders.orders WHERE client_order_id = ANY(:names)")
_KNOWN = text(
    "SELECT *, place::text AS placed FROM pms_orders.orders"
    " WHERE client_order_id = ANY(:names) OR exchange_order_id = ANY(:numbers)"
)
_GATES = text("SELECT account_id, symbol, state FROM pms_orders.gates")


_NEWEST = text("SELECT journalled_ms FROM pms_orders.transitions ORDER BY epoch DESC, n DESC LIMIT 1")
_CHANGED = text("SELECT DISTINCT client_order_id FROM pms_orders.transitions WHERE journalled_ms >= :since")
_RECENT = text("SELECT * FROM pms_orders.fills WHERE journalled_ms >= :since ORDER BY journalled_ms, trade_id")
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
        live = [order_of(row) for row in (await connection.execute(_LIVE)).mappings()]
        ended = [order_of(row) for row in (await connection.execute(_ENDED, {"bound": max_ended})).mappings()]
        both = {order.client_order_id: order for order in (*live, *ended)}
        fills = await connection.execute(_FILLS, {"names": list(both)})
        _book(both, fills.mappings())
        gates = [(row.account_id, row.symbol, row.state) for row in await connection.execute(_GATES)]
        newest_ms = (await connection.execute(_NEWEST)).scalar() or 0
        since_ms = _recent_since(newest_ms, heard_ms)
        changed = await connection.execute(_CHANGED, {"since": since_ms})
        recent: dict[str, list[Fill]] = {row.client_order_id: [] for row in changed}
        for row in (await connection.execute(_RECENT, {"since": since_ms})).mappings():
            recent.setdefault(row["client_order_id"], []).append(fill_of(row))
    return Restored(live, ended[::-1], gates, recent, newest_ms)


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
    return order_of(rows[0]) if len(rows) == 1 else None


async def fills_since(
    engine: AsyncEngine, since_ms: int, page: int, symbols: Sequence[str] | None = None
) -> AsyncIterator[list[tuple[str, Fill]]]:
    """The executions journalled since then, on some symbols or on all, in pages: client order id and fill.

    Raises `DATABASE_ERRORS`.
    """
    chosen = None if symbols is None else list(symbols)
    after: dict[str, Any] = {"journalled_ms": since_ms, "symbol": "", "trade_id": 0, "exchange_order_id": 0}
    while True:
        async with engine.connect() as connection:
            rows = (await connection.execute(_PAGE, {**after, "bound": page, "symbols": chosen})).mappings().all()
        if rows:
            yield [(row["client_order_id"], fill_of(row)) for row in rows]
        if len(rows) < page:
            return
        after = {name: rows[-1][name] for name in after}


async def changed_since(engine: AsyncEngine, since_ms: int) -> list[str]:
    """The client order ids of the orders that something was journalled of since then. Raises `DATABASE_ERRORS`."""
    async with engine.connect() as connection:
        rows = await connection.execute(_CHANGED, {"since": since_ms})
        return [row.client_order_id for row in rows]


async def orders_named(engine: AsyncEngine, names: list[str]) -> dict[str, OrderState]:
    """Orders by client order id, as the journal has them. Raises `DATABASE_ERRORS`."""
    if not names:
        return {}
    async with engine.connect() as connection:
        rows = (await connection.execute(_NAMED, {"names": names})).mappings().all()
    return {row["client_order_id"]: order_of(row) for row in rows}


async def last_journalled_ms(engine: AsyncEngine) -> int | None:
    """When the last transition was journalled; None where there is none. Raises `DATABASE_ERRORS`."""
    async with engine.connect() as connection:
        found: int | None = (await connection.execute(_NEWEST)).scalar()
    return found


async def known_orders(engine: AsyncEngine, names: list[str], numbers: list[int]) -> list[OrderState]:
    """Orders by client or exchange order id, however long ago, with their executions. Raises `DATABASE_ERRORS`."""
    async with engine.connect() as connection:
        rows = (await connection.execute(_KNOWN, {"names": names, "numbers": numbers})).mappings().all()
        orders = {row["client_order_id"]: order_of(row) for row in rows}
        _book(orders, (await connection.execute(_FILLS, {"names": list(orders)})).mappings())
    return list(orders.values())


def place_of(row: RowMapping) -> PlaceOrder:
    """The request of a row of `orders`."""
    return _place.decode(row["placed"])


def transition_of(row: RowMapping) -> Transition:
    """The state in a row of `orders` or `transitions`."""
    return Transition(*[row[name] for name in Transition._fields])


def order_of(row: RowMapping) -> OrderState:
    """The order of a row of `orders`, without its executions."""
    return rebuild(place_of(row), row["created_ms"], [transition_of(row)], ())


def fill_of(row: RowMapping) -> Fill:
    """The execution of a row of `fills`."""
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


def _book(orders: dict[str, OrderState], fills: Iterable[RowMapping]) -> None:
    for row in fills:
        book(orders[row["client_order_id"]], row["trade_id"], row["quantity"], row["price"])
