"""Bring a database to a schema revision (`pms migrate`), and tell which one it has.

Synchronous; not to be called while an event loop runs in the same thread.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from pms_common.db import connect

NEWEST = "heads"


def upgrade(url: str, revision: str = NEWEST) -> None:
    """Bring the database at `url` up to `revision`."""
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str = "base") -> None:
    """Take the database at `url` back to `revision`; what later ones hold is lost."""
    command.downgrade(_config(url), revision)


def newest() -> set[str]:
    """The newest revisions, one a branch."""
    return set(ScriptDirectory.from_config(_config("")).get_heads())


async def current(url: str) -> set[str]:
    """The revisions the database has; empty before the first migration."""
    connection = await connect(url, "migrate")
    try:
        if await connection.fetchval("SELECT to_regclass('pms_meta.alembic_version')") is None:
            return set()
        rows = await connection.fetch("SELECT version_num FROM pms_meta.alembic_version")
        return {row["version_num"] for row in rows}
    finally:
        await connection.close()


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config
