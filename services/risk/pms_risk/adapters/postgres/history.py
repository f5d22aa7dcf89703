"""An account's history from risk's tables: ledger, trades, daily statement. Never used on the hot path.

Owns the queries; each page is found by an index and starts where the one before it ended. Used by the histories.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.bus.common import HistoryKind
from pms_common.contracts.history import LedgerItem, Page, StatementDay, TradeItem
from pms_common.histories import Read, page, place, rows

DAY_MS = 86_400_000
_LEDGER = (
    "SELECT key AS id, n AS at_ms, '' AS key, at_ms AS timestamp_ms, cause, asset, amount, balance_before,"
    " balance_after, reference FROM pms_risk.ledger WHERE account_id = :account AND n < :at ORDER BY n DESC LIMIT :most"
)
_FILL = "symbol || ':' || trade_id || ':' || exchange_order_id"
_TRADES = (
    "SELECT * FROM ("
    f"(SELECT trade_ms AS at_ms, {_FILL} AS key, 'execution' AS kind, symbol, side, price, quantity, client_order_id,"
    " commission AS fee, commission_asset AS fee_asset, profit FROM pms_risk.fills"
    f" WHERE owner = :account AND (trade_ms, {_FILL}) < (:at, :key) AND trade_ms <= :at"
    f" ORDER BY trade_ms DESC, {_FILL} DESC LIMIT :most)"
    " UNION ALL (SELECT at_ms, reference, CASE WHEN liquidation THEN 'liquidation' ELSE 'takeover' END, symbol,"
    " CASE WHEN quantity > 0 THEN 'BUY' ELSE 'SELL' END, price, abs(quantity), NULL, NULL, NULL, NULL"
    " FROM pms_risk.moves WHERE owner = :account AND (at_ms, reference) < (:at, :key)"
    " ORDER BY at_ms DESC, reference DESC LIMIT :most)"
    ") AS t ORDER BY at_ms DESC, key DESC LIMIT :most"
)
_STATEMENT = (
    "WITH days AS (SELECT at_ms / :day AS day, cause, sum(amount) AS amount FROM pms_risk.ledger"
    " WHERE account_id = :account AND asset = 'USDT' GROUP BY 1, 2),"
    " shown AS (SELECT DISTINCT day FROM days WHERE day < :before ORDER BY day DESC LIMIT :most)"
    " SELECT d.day, d.cause, d.amount, (SELECT sum(b.amount) FROM days AS b WHERE b.day <= d.day) AS closing,"
    " t.trades, t.volume FROM days AS d JOIN shown USING (day) LEFT JOIN LATERAL ("
    " SELECT count(*) AS trades, coalesce(sum(price * quantity), 0) AS volume FROM pms_risk.fills"
    " WHERE owner = :account AND trade_ms >= d.day * :day AND trade_ms < (d.day + 1) * :day) AS t ON true"
    " ORDER BY d.day DESC, d.cause"
)


async def ledger(engine: AsyncEngine, account_id: str, before: str, most: int) -> Page:
    """Changes of cash in the order in which they were booked."""
    at, _ = place(before)
    found = await rows(engine, _LEDGER, account=account_id, at=at, most=most + 1)
    return page(found, most, _ledger_item)


async def trades(engine: AsyncEngine, account_id: str, before: str, most: int) -> Page:
    """Executions and takeovers."""
    at, key = place(before)
    return page(await rows(engine, _TRADES, account=account_id, at=at, key=key, most=most + 1), most, _trade_item)


async def statement(engine: AsyncEngine, account_id: str, before: str, most: int) -> Page:
    """UTC days on which cash changed."""
    at, _ = place(before)
    found = await rows(engine, _STATEMENT, account=account_id, before=at, most=most + 1, day=DAY_MS)
    days = [(day, list(of)) for day, of in groupby(found, key=lambda row: row["day"])]
    kept = days[:most]
    return Page(items=[_day(day, of) for day, of in kept], next=f"{kept[-1][0]}~" if len(days) > most else None)


KINDS: dict[HistoryKind, Read] = {"ledger": ledger, "trades": trades, "statement": statement}


def _ledger_item(row: Mapping[str, Any]) -> LedgerItem:
    return LedgerItem(**{name: row[name] for name in LedgerItem.__struct_fields__})


def _trade_item(row: Mapping[str, Any]) -> TradeItem:
    profit = row["profit"]
    return TradeItem(
        id=row["key"],
        timestamp_ms=row["at_ms"],
        kind=row["kind"],
        symbol=row["symbol"],
        side=row["side"],
        price=row["price"],
        quantity=row["quantity"],
        client_order_id=row["client_order_id"],
        fee=row["fee"],
        fee_asset=row["fee_asset"],
        realized_pnl=profit,
    )


def _day(day: int, changes: list[Mapping[str, Any]]) -> StatementDay:
    first = changes[0]
    closing: Decimal = first["closing"]
    return StatementDay(
        day=datetime.fromtimestamp(day * DAY_MS // 1000, UTC).date().isoformat(),
        opening_balance=closing - sum((row["amount"] for row in changes), Decimal(0)),
        closing_balance=closing,
        changes={row["cause"]: row["amount"] for row in changes},
        trades=first["trades"],
        volume=first["volume"],
    )
