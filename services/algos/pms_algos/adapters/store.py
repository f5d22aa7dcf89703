"""The table `pms_algos.algos`: one row an algo, written by the group-committed journal, read at the start.

Owns the row's form; one that cannot be read is told and left as it is. A save never replaces a
higher version, and never one that is over.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pms_algos.app.kinds import KINDS, Kind
from pms_algos.app.kinds.base import Algo
from pms_common.db import Statement
from pms_common.logging import get_logger
from pms_common.metrics import counter

log = get_logger(__name__)

SAVE = Statement(
    "INSERT INTO pms_algos.algos AS a (algo_id, kind, account_id, symbol, version, outcome, state) "
    "SELECT algo_id, kind, account_id, symbol, version, outcome, state FROM :rows "
    "ON CONFLICT (algo_id) DO UPDATE SET version = excluded.version, outcome = excluded.outcome, "
    "state = excluded.state, updated_at = now() WHERE a.version < excluded.version AND a.outcome IS NULL",
    {
        "algo_id": "text",
        "kind": "text",
        "account_id": "text",
        "symbol": "text",
        "version": "bigint",
        "outcome": "text",
        "state": "jsonb",
    },
    latest_by=("algo_id",),
)
MAX_ENDED = 10_000
"""Ended algos remembered, so that cancelling one again is answered with how it ended."""

_RUNNING = text("SELECT algo_id, kind, state FROM pms_algos.algos WHERE outcome IS NULL ORDER BY created_at")
_ENDED = text(
    "SELECT algo_id, kind, state FROM pms_algos.algos "
    "WHERE outcome IS NOT NULL AND updated_at > now() - interval '24 hours' ORDER BY updated_at DESC LIMIT :limit"
)
_OLD = text(
    "DELETE FROM pms_algos.algos WHERE algo_id IN (SELECT algo_id FROM pms_algos.algos WHERE outcome IS NOT NULL"
    " AND updated_at < to_timestamp(CAST(:before AS bigint) / 1000) ORDER BY updated_at LIMIT :batch)"
)
_unreadable = counter("algo_rows_unreadable", "Algos of which a start could not read the state")
_encode = msgspec.json.Encoder().encode

Kept = tuple[Kind, Algo]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a start finds. `unreadable` are the ids of algos that run and whose state cannot be read."""

    running: list[Kept]
    ended: list[Kept]
    unreadable: set[str] = field(default_factory=set)


def row(kind: Kind, algo: Algo, symbols: tuple[str, ...], *, over: bool = False) -> tuple[Any, ...]:
    """The row of an algo. One that has ended is `over` when that was told: until then a start finds it as running."""
    plan = algo.plan
    state = _encode(algo).decode()
    version, outcome = (algo.version + 1, algo.outcome) if over else (algo.version, None)
    return plan.algo_id, kind.name, plan.account_id, ",".join(symbols), version, outcome, state


async def load(engine: AsyncEngine) -> Loaded:
    """All running algos, and those that ended lately, oldest first."""
    async with engine.connect() as connection:
        running = await connection.execute(_RUNNING)
        ended = await connection.execute(_ENDED, {"limit": MAX_ENDED})
    return loaded(running, reversed(ended.all()))


async def remove_ended(connection: AsyncConnection, before_ms: int, most: int) -> int:
    """Remove at most so many that ended before a time; how many. Passed to `pms_common.db.Retention`."""
    return (await connection.execute(_OLD, {"before": before_ms, "batch": most})).rowcount


def loaded(running: Iterable[Any], ended: Iterable[Any]) -> Loaded:
    """The algos of the rows. One whose state this version cannot read does not hold up the others."""
    unreadable: set[str] = set()
    found = [kept for row in running if (kept := _readable(row, unreadable)) is not None]
    return Loaded(found, [kept for row in ended if (kept := _readable(row, set())) is not None], unreadable)


def _readable(found: Any, unreadable: set[str]) -> Kept | None:
    try:
        return _algo(found)
    except (KeyError, msgspec.MsgspecError) as error:
        unreadable.add(found.algo_id)
        _unreadable.inc()
        log.error("algo_unreadable", algo_id=found.algo_id, kind=found.kind, error=repr(error))
        return None


def _algo(found: Any) -> Kept:
    """SQLAlchemy hands JSONB out as text here, or decoded, depending on the driver's codecs."""
    kind, state = KINDS[found.kind], found.state
    if isinstance(state, str | bytes):
        return kind, msgspec.json.decode(state, type=kind.state)
    return kind, msgspec.convert(state, kind.state)
