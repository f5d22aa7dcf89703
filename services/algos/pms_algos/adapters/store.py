"""The table `pms_algos.algos`: one row an algo, written by the group-committed journal, read at the start.

Owns the row's form. A save never replaces a higher version, and never one that has ended.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_algos.app.kinds import KINDS, Kind
from pms_algos.app.kinds.base import Algo
from pms_common.db import Statement

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

_RUNNING = text("SELECT kind, state FROM pms_algos.algos WHERE outcome IS NULL ORDER BY created_at")
_ENDED = text(
    "SELECT kind, state FROM pms_algos.algos WHERE outcome IS NOT NULL AND updated_at > now() - interval '24 hours' "
    "ORDER BY updated_at DESC LIMIT :limit"
)
_encode = msgspec.json.Encoder().encode

Kept = tuple[Kind, Algo]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a start finds."""

    running: list[Kept]
    ended: list[Kept]


def row(kind: Kind, algo: Algo, symbols: tuple[str, ...]) -> tuple[Any, ...]:
    """The row of an algo."""
    plan = algo.plan
    state = _encode(algo).decode()
    return plan.algo_id, kind.name, plan.account_id, ",".join(symbols), algo.version, algo.outcome, state


async def load(engine: AsyncEngine) -> Loaded:
    """All running algos, and those that ended lately, oldest first."""
    async with engine.connect() as connection:
        running = [_algo(found) for found in await connection.execute(_RUNNING)]
        ended = [_algo(found) for found in await connection.execute(_ENDED, {"limit": MAX_ENDED})]
    return Loaded(running, ended[::-1])


def _algo(found: Any) -> Kept:
    """SQLAlchemy hands JSONB out as text here, or decoded, depending on the driver's codecs."""
    kind, state = KINDS[found.kind], found.state
    if isinstance(state, str | bytes):
        return kind, msgspec.json.decode(state, type=kind.state)
    return kind, msgspec.convert(state, kind.state)
