"""Reads what differs between the accounts of the JS application and ours, and keeps what both have agreed on.

Owns the comparison in the database: of values, not of `updated_at`, which a hand-written UPDATE leaves alone, and
without a trigger, which Prisma would not know; so no change can be missed, and one that is taken back is none. Used by
the administration, off the hot path, on connections of its own.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.db.shared_tables import id_of
from pms_risk.domain.administration import (
    LIMITS,
    MODES,
    STATUSES,
    TERMS,
    UNKNOWN_MODE,
    UNKNOWN_STATUS,
    Balance,
    Difference,
    Terms,
)
from pms_risk.domain.rules import Rules

_NAMED = TERMS[: -len(LIMITS)]
_TEXTS, _NUMBERS = TERMS[:3], TERMS[3:]


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _row(table: str, names: tuple[str, ...] = TERMS) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


_UNDERSTOOD = _row("w", _TEXTS).replace(
    "w.status", f"CASE WHEN w.status IN ({_list(STATUSES)}) THEN w.status ELSE '{UNKNOWN_STATUS}' END"
)
_UNDERSTOOD = _UNDERSTOOD.replace(
    "w.liquidation_mode",
    f"CASE WHEN w.liquidation_mode IN ({_list(MODES)}) THEN w.liquidation_mode ELSE '{UNKNOWN_MODE}' END",
)
_MOVED = f"({_row('a', _NUMBERS)}) IS DISTINCT FROM ({_row('w', tuple(f'our_{name}' for name in _NUMBERS))})"
"""Numbers of ours are compared as they were, for turning each into a double would cost more than all the rest."""
_BEHIND = "(s.current_balance, a.cash, w.cash) IS DISTINCT FROM (w.balance, w.cash, w.exact)"
_LIMITS = ", ".join(f"coalesce(o.{name}, g.{name}, {getattr(Rules(), name)}) AS {name}" for name in LIMITS)
"""An account's own row, else the first global one, else what is built in."""
_DIFFERENCES = text(
    f"WITH g AS (SELECT * FROM risk_rules WHERE is_global ORDER BY id LIMIT 1),"
    f" s AS (SELECT s.id, {_row('s', _NAMED)}, {_LIMITS}, s.current_balance, s.created_at,"
    " s.xmin AS version, o.xmin AS rules_version FROM sub_accounts AS s"
    " LEFT JOIN risk_rules AS o ON o.sub_account_id = s.id LEFT JOIN g ON true),"
    f" a AS (SELECT a.id, a.cash, {_row('a', _NAMED)}, {_row('u', LIMITS)}"
    " FROM pms_risk.accounts AS a JOIN pms_risk.rules AS u ON u.account_id = a.id WHERE a.status <> 'CLOSED')"
    " SELECT coalesce(s.id, w.account_id, a.id) AS id, s.id IS NOT NULL AS shared, w.account_id IS NOT NULL AS agreed,"
    " a.id IS NOT NULL AS ours, s.version, s.rules_version,"
    f" {_MOVED} AS moved, {_BEHIND} AS behind, s.current_balance, w.balance, w.exact, w.found,"
    " CASE WHEN isfinite(s.created_at) THEN (extract(epoch FROM s.created_at) * 1000)::bigint END AS created_ms, "
    + ", ".join(f"{table}.{name} AS {table}_{name}" for table in "swa" for name in TERMS)
    + " FROM s FULL JOIN pms_risk.administered AS w ON w.account_id = s.id"
    " FULL JOIN a ON a.id = coalesce(s.id, w.account_id)"
    " WHERE s.id IS NULL OR w.account_id IS NULL OR a.id IS NULL"
    f" OR ({_row('s')}) IS DISTINCT FROM ({_row('w')})"
    f" OR ({_row('a', _TEXTS)}) IS DISTINCT FROM ({_UNDERSTOOD}) OR {_BEHIND} OR {_MOVED}"
)
_BOOKED = text(
    "SELECT account_id, sum(amount) AS amount, count(*) AS times FROM pms_risk.ledger WHERE cause = 'admin_set'"
    " GROUP BY account_id"
)
_HAS_POSITIONS = text("SELECT to_regclass('virtual_positions') IS NOT NULL")
_UNKNOWN_POSITIONS = text(
    "SELECT v.sub_account_id AS account_id, array_agg(v.symbol ORDER BY v.symbol) AS symbols"
    " FROM virtual_positions AS v WHERE v.status = 'OPEN'"
    " AND NOT EXISTS (SELECT FROM pms_risk.positions AS p WHERE p.id = v.id) GROUP BY v.sub_account_id"
)
_AGREE = text(
    f"UPDATE pms_risk.administered SET {', '.join(f'{name} = :{name}' for name in TERMS)},"
    f" {', '.join(f'our_{name} = :our_{name}' for name in _NUMBERS)}"
    " WHERE account_id = :account_id"
)
_FREE = text("SELECT account_id FROM pms_risk.administered WHERE account_id = ANY(:ids) FOR NO KEY UPDATE SKIP LOCKED")
"""Waiting for one of many while holding others could stop the journal, which takes them in another order."""
_WAIT_BRIEFLY = text("SET LOCAL lock_timeout = '100ms'")
"""Of another's transaction that holds a row: the other accounts wait meanwhile, and it is tried again at each look."""
_LOCK = text(
    "SELECT 1 FROM sub_accounts AS s WHERE id = :account_id"
    f" AND ({_row('s', _NAMED)}) IS NOT DISTINCT FROM ({', '.join(f':seen_{name}' for name in _NAMED)})"
    " FOR NO KEY UPDATE"
)
"""Compared here, where a number that is none equals itself."""
_GIVE = text(
    f"UPDATE sub_accounts SET {', '.join(f'{name} = :{name}' for name in _NAMED)},"
    " updated_at = timezone('UTC', now()) WHERE id = :account_id"
)
_RULE_ID = id_of("'rules:' || CAST(:account_id AS text)")
_GIVE_RULES = text(
    f"INSERT INTO risk_rules (id, sub_account_id, {', '.join(LIMITS)})"
    f" VALUES ({_RULE_ID}, :account_id, {', '.join(f':{name}' for name in LIMITS)})"
    f" ON CONFLICT (sub_account_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in LIMITS)}"
    f" WHERE ({_row('risk_rules', LIMITS)}) IS NOT DISTINCT FROM ({', '.join(f':seen_{name}' for name in LIMITS)})"
)


class SharedAccounts:
    """The accounts of the JS application beside ours."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def differences(self) -> list[Difference]:
        """Every account in which anything differs, as it is committed on both sides."""
        async with self._engine.connect() as connection:
            return [_difference(row._mapping) for row in await connection.execute(_DIFFERENCES)]

    async def booked(self) -> dict[str, tuple[Decimal, int]]:
        """By account what of the application's changes of balances is in the books, and in how many entries."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(_BOOKED)
            return {row.account_id: (row.amount, row.times) for row in rows}

    async def unknown_positions(self) -> dict[str, list[str]]:
        """By account the symbols of open positions there that are not in the books: another engine has opened them."""
        async with self._engine.connect() as connection:
            if not (await connection.execute(_HAS_POSITIONS)).scalar_one():
                return {}
            return {row.account_id: row.symbols for row in await connection.execute(_UNKNOWN_POSITIONS)}

    async def agree(self, agreed: Sequence[tuple[Difference, Terms]]) -> None:
        """Keep that these are the terms on both sides, but for accounts that the journal is writing just now."""
        rows = {found.account_id: {**terms, **_ours(found), "account_id": found.account_id} for found, terms in agreed}
        async with self._engine.begin() as connection:
            free = [row.account_id for row in await connection.execute(_FREE, {"ids": list(rows)})]
            if free:
                await connection.execute(_AGREE, [rows[account_id] for account_id in free])

    async def give(self, found: Difference, own: Terms) -> None:
        """Write terms of ours there, unless the application has changed some since they were compared."""
        seen = found.shared or {}
        values = {**seen, **own, **{f"seen_{name}": seen[name] for name in TERMS}, "account_id": found.account_id}
        async with self._engine.begin() as connection:
            await connection.execute(_WAIT_BRIEFLY)
            if (await connection.execute(_LOCK, values)).one_or_none() is None:
                return
            if own.keys() & set(LIMITS):
                given = await connection.execute(_GIVE_RULES, values)
                if not given.rowcount:
                    return
            await connection.execute(_GIVE, values)
            await connection.execute(_AGREE, {**values, **(found.agreed or {}), **own, **_ours(found)})


def _ours(found: Difference) -> Terms:
    return {f"our_{name}": (found.ours or {}).get(name) for name in _NUMBERS}


def _difference(row: Mapping[Any, Any]) -> Difference:
    def terms(there: bool, table: str) -> Terms | None:
        return {name: row[f"{table}_{name}"] for name in TERMS} if there else None

    both = row["shared"] and row["agreed"]
    balance = Balance(row["current_balance"], row["balance"], row["exact"], row["found"]) if both else None
    if row["shared"] and not row["agreed"]:
        balance = Balance(row["current_balance"], 0.0, Decimal(0), Decimal(0))
    return Difference(
        account_id=row["id"],
        shared=terms(row["shared"], "s"),
        agreed=terms(row["agreed"], "w"),
        ours=terms(row["ours"], "a"),
        balance=balance,
        moved=row["moved"],
        behind=row["behind"],
        created_ms=row["created_ms"] or 0,
        version=f"{row['version']}:{row['rules_version']}",
    )
