"""What the services that write tables of the JS application know of its Prisma schema's ways.

Its generations differ in columns, and it, not we, decides which one a table is: a statement names only the columns
that are there. Prisma makes ids itself (text) and keeps UTC in columns without a time zone, to the millisecond.
Used by orders and risk.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_COLUMNS = text(
    "SELECT attname AS name, attnotnull AND NOT atthasdef AS required FROM pg_attribute"
    " WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
)


async def columns_of(connection: AsyncConnection, table: str) -> dict[str, bool]:
    """The table's columns, and whether each has to be given; none where there is no such table."""
    rows = await connection.execute(_COLUMNS, {"table": table})
    return {row.name: row.required for row in rows}


def utc(ms: str) -> str:
    """SQL: epoch milliseconds as Prisma keeps a time."""
    return f"timestamp 'epoch' + {ms} * interval '1 ms'"


def id_of(key: str) -> str:
    """SQL: the id that always follows from this key, in the form of Prisma's."""
    return f"md5({key})::uuid::text"
