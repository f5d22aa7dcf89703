"""What may be removed of the order service's tables: orders that ended long ago, with their executions.

Never a live order, nor `pending_orders`, which is the JS application's. Their transitions and answers go a month at a
time (`months`). Passed to `pms_common.db.Retention`.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pms_common.contracts.bus.base import FINAL_STATES

_FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
_ALLOW = text("SELECT set_config('pms.retention', 'on', true)")
_OLD = text(
    f"DELETE FROM pms_orders.orders WHERE client_order_id IN (SELECT client_order_id FROM pms_orders.orders"
    f" WHERE status IN ({_FINAL}) AND updated_ms < :before ORDER BY updated_ms LIMIT :batch)"
    " RETURNING client_order_id"
)
_FILLS = text("DELETE FROM pms_orders.fills WHERE client_order_id = ANY(:names)")


async def remove_orders(connection: AsyncConnection, before_ms: int, most: int) -> int:
    """Remove at most so many that ended before a time; how many."""
    await connection.execute(_ALLOW)
    names = list((await connection.execute(_OLD, {"before": before_ms, "batch": most})).scalars())
    if names:
        await connection.execute(_FILLS, {"names": names})
    return len(names)
