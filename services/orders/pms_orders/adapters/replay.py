"""Every order rebuilt from its history and compared with the row that is kept.

Owns the walk through the journal; changes nothing. Used by `pms replay` and by tests.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pms_common.contracts.bus.orders import Fill
from pms_orders.adapters.recall import fill_of, order_of, place_of, transition_of
from pms_orders.domain.history import Transition, differences, rebuild

PAGE = 500
_ORDERS = text(
    "SELECT *, place::text AS placed FROM pms_orders.orders WHERE created_ms BETWEEN :since AND :until"
    " AND client_order_id > :after ORDER BY client_order_id LIMIT :page"
)
_TRANSITIONS = text("SELECT * FROM pms_orders.transitions WHERE client_order_id = ANY(:names) ORDER BY epoch, n")
_FILLS = text("SELECT * FROM pms_orders.fills WHERE client_order_id = ANY(:names) ORDER BY journalled_ms, trade_id")


@dataclass(slots=True)
class Replayed:
    """How much was compared, and what differs, by client order id."""

    orders: int = 0
    transitions: int = 0
    fills: int = 0
    differing: dict[str, list[str]] = field(default_factory=dict)


async def replay(engine: AsyncEngine, since_ms: int, until_ms: int) -> Replayed:
    """Rebuild and compare the orders made in that time. Raises one of `DATABASE_ERRORS`."""
    done, after = Replayed(), ""
    async with engine.connect() as connection:
        while True:
            bounds = {"since": since_ms, "until": until_ms, "after": after, "page": PAGE}
            rows = (await connection.execute(_ORDERS, bounds)).mappings().all()
            if not rows:
                return done
            await _compare(connection, rows, done)
            after = rows[-1]["client_order_id"]


async def _compare(connection: AsyncConnection, rows: Any, done: Replayed) -> None:
    names = {"names": [row["client_order_id"] for row in rows]}
    transitions: defaultdict[str, list[Transition]] = defaultdict(list)
    fills: defaultdict[str, list[Fill]] = defaultdict(list)
    for row in (await connection.execute(_TRANSITIONS, names)).mappings():
        transitions[row["client_order_id"]].append(transition_of(row))
        done.transitions += 1
    for row in (await connection.execute(_FILLS, names)).mappings():
        fills[row["client_order_id"]].append(fill_of(row))
        done.fills += 1
    for row in rows:
        name = row["client_order_id"]
        rebuilt = rebuild(place_of(row), row["created_ms"], transitions[name], fills[name])
        if found := differences(order_of(row), rebuilt):
            done.differing[name] = found
        done.orders += 1
