"""How the database is reached: one place for time zone, TLS and time limits.

TLS: what the URL's `sslmode` (or `ssl`) says; without it none for a server on this machine, preferred for another.
"""

from typing import Any

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pms_common.settings import SettingsError

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 30.0
DATABASE_ERRORS = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a query may raise: connecting does not wrap asyncpg's errors; a time-out is an OSError."""


def create_engine(
    url: str, service: str = "pms", pool_size: int = 5, statement_s: float | None = COMMAND_TIMEOUT_S
) -> AsyncEngine:
    """A SQLAlchemy engine for `PMS_DATABASE_URL`, of at most `pool_size` connections."""
    arguments = connect_arguments(url, service) | {"command_timeout": statement_s}

    async def creator() -> Any:
        return await asyncpg.connect(**arguments)

    return create_async_engine(
        "postgresql+asyncpg://", async_creator=creator, pool_size=pool_size, max_overflow=0, pool_pre_ping=True
    )


async def connect(url: str, service: str = "pms") -> Any:
    """An asyncpg connection for `PMS_DATABASE_URL`, for bulk statements."""
    return await asyncpg.connect(**connect_arguments(url, service))


def application_name(service: str) -> str:
    """The name of a connection in `pg_stat_activity`."""
    return f"pms-{service}"


def connect_arguments(url: str, service: str) -> dict[str, Any]:
    """The arguments of `asyncpg.connect` for a URL. `service` is the name shown in `pg_stat_activity`."""
    if not url:
        raise SettingsError("PMS_DATABASE_URL is not set")
    parsed = make_url(url).set(drivername="postgresql")
    query = dict(parsed.query)
    sslmode = query.pop("ssl", None) or query.pop("sslmode", None)
    host = parsed.host or query.get("host") or ""
    arguments: dict[str, Any] = {
        "dsn": parsed.set(query=query).render_as_string(hide_password=False),
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "server_settings": {"timezone": "UTC", "application_name": application_name(service)},
    }
    if sslmode:
        arguments["ssl"] = sslmode
    elif host in LOCAL_HOSTS or str(host).startswith("/"):
        arguments["ssl"] = False  # asyncpg would look for certificates in the home directory
    return arguments
