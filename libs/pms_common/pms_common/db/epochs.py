"""The writer's epoch: a number per service that each new writer raises and every journal commit checks.

`pms_meta.epochs.batch` is the number of the last journal batch of that epoch: it tells whether a commit whose answer
was lost took place.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_TAKE = text(
    "INSERT INTO pms_meta.epochs AS e (service, epoch) VALUES (:service, 1) "
    "ON CONFLICT (service) DO UPDATE SET epoch = e.epoch + 1, batch = 0 RETURNING epoch"
)


class FencedError(Exception):
    """Another writer has taken over: this one must stop and write nothing more."""


async def take_epoch(engine: AsyncEngine, service: str) -> int:
    """Become the writer of `service`: the new epoch. From its return on no older writer can commit."""
    async with engine.begin() as connection:
        return int((await connection.execute(_TAKE, {"service": service})).scalar_one())
