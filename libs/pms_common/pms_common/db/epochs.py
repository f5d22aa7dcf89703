"""The writer's epoch: a number per service that each new writer raises and every journal commit checks.

`pms_meta.epochs.batch` is the number of the last journal batch of that epoch: it tells whether a commit whose answer
was lost took place.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.db.engine import application_name

_END_JOURNALS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND usename = current_user AND application_name = :journal"
)
"""A predecessor that was stopped amid a transaction holds the lock on the epoch. The server's own time limit for idle
transactions does not count while it waits for the rest of a request (between Parse and Sync)."""
_TAKE = text(
    "INSERT INTO pms_meta.epochs AS e (service, epoch) VALUES (:service, 1) "
    "ON CONFLICT (service) DO UPDATE SET epoch = e.epoch + 1, batch = 0 RETURNING epoch"
)


class FencedError(Exception):
    """Another writer has taken over: this one must stop and write nothing more."""


def journal_name(service: str) -> str:
    """The name by which the journal of `service` connects."""
    return f"{service}-journal"


async def take_epoch(engine: AsyncEngine, service: str) -> int:
    """Become the writer of `service`: the new epoch. From its return on no older writer can commit.

    Sessions of older journals are ended: one that lives finds out that it was superseded when it connects again.
    """
    async with engine.begin() as connection:
        await connection.execute(_END_JOURNALS, {"journal": application_name(journal_name(service))})
        return int((await connection.execute(_TAKE, {"service": service})).scalar_one())
