"""Reads risk's tables: everything at start, single facts that memory does not hold.

Never used on the hot path. Used by the start, by what is told late and by the bus for its cursors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.bus.exchange import CashFlow
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.adapters.postgres.restore import Rows, restore
from pms_risk.domain.account import SETTLEMENT_ASSET
from pms_risk.domain.activity import TRANSFERS
from pms_risk.domain.assignment import Held
from pms_risk.domain.books import MAX_CLOSED, Books
from pms_risk.domain.fills import MAX_KEYS, FillKey
from pms_risk.domain.first_look import Unseen
from pms_risk.domain.funding import MAX_SETTLED
from pms_risk.domain.gates import Gates
from pms_risk.domain.house import HOUSE, POOL
from pms_risk.domain.moves import Holder

FILLS = "symbol, trade_id, exchange_order_id, trade_ms, owner, leg, price, excess, side, quantity FROM pms_risk.fills"
HOUSE_CASH = (
    "WITH RECURSIVE books AS ("
    " (SELECT book, asset FROM pms_risk.house_ledger ORDER BY book, asset LIMIT 1)"
    " UNION ALL SELECT next.* FROM books CROSS JOIN LATERAL ("
    "  SELECT h.book, h.asset FROM pms_risk.house_ledger AS h WHERE (h.book, h.asset) > (books.book, books.asset)"
    "  ORDER BY h.book, h.asset LIMIT 1) AS next"
    ") SELECT book, asset, (SELECT h.balance_after FROM pms_risk.house_ledger AS h"
    "  WHERE h.book = books.book AND h.asset = books.asset ORDER BY n DESC LIMIT 1) AS cash FROM books"
)
"""The last balance of each book, each found by the index: a start takes no longer for a longer ledger."""
OPENING = "SELECT min(at_ms) AS at_ms FROM pms_risk.house_ledger WHERE cause = 'opening_wallet'"
"""There are several, one an asset."""
UNSEEN = "SELECT reference FROM pms_risk.house_ledger WHERE book = 'capital' AND cause = 'unseen_payment'"
"""All are in this book, which no execution touches: they are found by its index."""
UNSEEN_FLOWS = (
    "SELECT kind, flow_id, asset, symbol, amount, info, at_ms FROM pms_risk.flows WHERE at_ms BETWEEN :since AND :until"
)
_SIGN = "CASE side WHEN 'BUY' THEN 1 ELSE -1 END"
MOVED_BETWEEN = (
    "WITH f AS (SELECT * FROM pms_risk.fills WHERE symbol = :symbol AND trade_ms > :at AND trade_ms <= :until"
    " AND owner <> :pool)"
    " SELECT owner, leg, sum(quantity) AS quantity FROM ("
    f" SELECT owner, leg, {_SIGN} * (quantity - excess) AS quantity FROM f"
    f" UNION ALL SELECT :house, leg, {_SIGN} * excess FROM f WHERE excess <> 0"
    " UNION ALL SELECT owner, leg, quantity FROM pms_risk.moves"
    " WHERE symbol = :symbol AND at_ms > :at AND at_ms <= :until"
    ") AS moved GROUP BY owner, leg"
)
"""As `restore` makes moves of these rows."""
RESULTS = (
    "SELECT account_id, sum(amount) AS amount, max(at_ms) AS at_ms FROM pms_risk.ledger"
    " WHERE at_ms >= :since AND asset = :asset AND cause <> ALL(:transfers) GROUP BY account_id"
)
OPERATOR_REQUESTS = (
    "SELECT account_id, reference, cause FROM pms_risk.ledger WHERE cause = ANY(:causes) AND at_ms > :since"
)
OPERATOR_CAUSES = ("deposit", "withdrawal")
OPERATOR_REQUESTS_MS = 24 * 3_600_000
"""How long a repeated operator command is recognised by its ledger entry: as long as by its mark."""
OperatorRequest = tuple[str, str, str]
"""Account, request id, cause."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What the fills of one order came to."""

    quantity: Decimal
    value: Decimal
    commission: Decimal
    profit: Decimal


class Store:
    """Queries over one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load_books(self, books: Books) -> None:
        """Accounts with rules, open positions, house cash, and what was booked last."""
        fills = await self._newest(FILLS, "trade_ms DESC, trade_id DESC", MAX_KEYS)
        since_ms = fills[0]["trade_ms"] if len(fills) == MAX_KEYS else 0
        rows = Rows(
            accounts=await self._rows("SELECT * FROM pms_risk.accounts WHERE status <> 'CLOSED'"),
            rules=await self._rows("SELECT * FROM pms_risk.rules"),
            positions=await self._rows("SELECT * FROM pms_risk.positions WHERE closed_ms IS NULL"),
            closed=await self._newest(
                "id FROM pms_risk.positions WHERE closed_ms IS NOT NULL", "closed_ms DESC", MAX_CLOSED
            ),
            house=await self._rows(HOUSE_CASH),
            opened_ms=(await self._rows(OPENING))[0]["at_ms"],
            fills=fills,
            moves=await self._rows("SELECT * FROM pms_risk.moves WHERE at_ms > :since", since=since_ms),
            flows=await self._newest("kind, flow_id, asset, symbol, at_ms FROM pms_risk.flows", "at_ms DESC", MAX_KEYS),
            fundings=await self._newest("* FROM pms_risk.fundings", "at_ms DESC", MAX_SETTLED),
        )
        restore(books, rows)
        await self._load_unseen(books)

    async def _load_unseen(self, books: Books) -> None:
        """Payments that the first look has not seen, without those whose lines are booked."""
        changes = [msgspec.json.decode(row["reference"], type=Unseen) for row in await self._rows(UNSEEN)]
        if not changes:
            return
        for change in changes:
            books.unseen.add(change)
        since, until = min(change.earliest_ms for change in changes), max(change.at_ms for change in changes)
        rows = await self._rows(UNSEEN_FLOWS, since=since, until=until)
        books.unseen.explain([CashFlow(time_ms=row.pop("at_ms"), **row) for row in rows])

    async def _newest(self, what: str, order: str, most: int) -> Sequence[Mapping[str, Any]]:
        """The newest rows, oldest first."""
        return list(reversed(await self._rows(f"SELECT {what} ORDER BY {order} LIMIT :most", most=most)))

    async def load_results(self, books: Books, day_start_ms: int) -> None:
        """What each account's trading has earned since the day began."""
        rows = await self._rows(RESULTS, since=day_start_ms, asset=SETTLEMENT_ASSET, transfers=list(TRANSFERS))
        for row in rows:
            account = books.accounts.get(row["account_id"])
            if account is not None:
                account.activity.book("result", row["amount"], row["at_ms"])

    async def load_gates(self, gates: Gates) -> None:
        """Trading states."""
        for row in await self._rows("SELECT * FROM pms_risk.gates"):
            gates.set(row["account_id"], row["symbol"], row["state"])

    async def operator_requests(self, now_ms: int) -> set[OperatorRequest]:
        """The operators' transfers of the last 24 hours."""
        rows = await self._rows(OPERATOR_REQUESTS, causes=list(OPERATOR_CAUSES), since=now_ms - OPERATOR_REQUESTS_MS)
        return {(row["account_id"], row["reference"], row["cause"]) for row in rows}

    async def is_booked(self, key: FillKey) -> bool:
        """Whether the execution is in the table."""
        query = (
            "SELECT 1 FROM pms_risk.fills WHERE symbol = :symbol AND trade_id = :trade AND exchange_order_id = :order"
        )
        return bool(await self._rows(query, symbol=key[0], trade=key[1], order=key[2]))

    async def held_by_house(self, symbol: str, exchange_order_id: int) -> list[Held]:
        """The executions of an order that the house holds and that were not assigned."""
        query = (
            "SELECT f.*, f.symbol || ':' || trade_id || ':' || exchange_order_id AS name,"
            " (SELECT coalesce(-sum(amount), 0) FROM pms_risk.house_ledger AS h WHERE h.cause = 'commission'"
            "  AND asset = 'USDT' AND h.reference = f.symbol || ':' || trade_id || ':' || exchange_order_id) AS paid"
            " FROM pms_risk.fills AS f WHERE f.symbol = :symbol AND exchange_order_id = :number AND owner = 'house'"
            " AND NOT EXISTS (SELECT 1 FROM pms_risk.moves AS m"
            "  WHERE m.reference = 'assigned:' || f.symbol || ':' || trade_id || ':' || exchange_order_id)"
            " ORDER BY trade_id"
        )
        return [
            Held(
                reference=row["name"],
                symbol=symbol,
                leg=row["leg"],
                quantity=row["quantity"] if row["side"] == "BUY" else -row["quantity"],
                price=row["price"],
                commission=row["paid"],
                at_ms=row["trade_ms"],
            )
            for row in await self._rows(query, symbol=symbol, number=exchange_order_id)
        ]

    async def is_assigned(self, symbol: str, exchange_order_id: int, account_id: str) -> bool:
        """Whether executions of an order were assigned to an account."""
        query = (
            "SELECT 1 FROM pms_risk.fills AS f JOIN pms_risk.moves AS m"
            " ON m.reference = 'assigned:' || f.symbol || ':' || trade_id || ':' || exchange_order_id"
            " WHERE f.symbol = :symbol AND exchange_order_id = :number AND m.owner = :owner LIMIT 1"
        )
        return bool(await self._rows(query, symbol=symbol, number=exchange_order_id, owner=account_id))

    async def moved(self, references: Sequence[str]) -> set[str]:
        """Which of these takeovers are in the tables."""
        query = "SELECT DISTINCT reference FROM pms_risk.moves WHERE reference = ANY(:references)"
        return (
            {row["reference"] for row in await self._rows(query, references=list(references))} if references else set()
        )

    async def moved_between(self, symbol: str, at_ms: int, until_ms: int) -> dict[Holder, Decimal]:
        """What moved on a symbol by deals later than a moment, until another one: executions by their parts, and what
        is no execution."""
        rows = await self._rows(MOVED_BETWEEN, symbol=symbol, at=at_ms, until=until_ms, house=HOUSE, pool=POOL)
        return {(row["owner"], row["leg"]): row["quantity"] for row in rows}

    async def is_flow_booked(self, flow: CashFlow) -> bool:
        """Whether the cash flow is in the table."""
        query = (
            "SELECT 1 FROM pms_risk.flows WHERE kind = :kind AND flow_id = :flow_id AND asset = :asset"
            " AND symbol = :symbol"
        )
        key = {"kind": flow.kind, "flow_id": flow.flow_id, "asset": flow.asset, "symbol": flow.symbol}
        return bool(await self._rows(query, **key))

    async def executed(self, client_order_ids: Sequence[str]) -> dict[str, Executed]:
        """What the fills of these orders came to, for those that have any."""
        query = (
            "SELECT client_order_id, sum(quantity) AS quantity, sum(price * quantity) AS value, sum(profit) AS profit,"
            " -sum(amount) AS commission FROM pms_risk.fills AS f LEFT JOIN pms_risk.ledger"
            " ON key = symbol || ':' || trade_id || ':' || exchange_order_id || '\\:commission'"
            " WHERE client_order_id = ANY(:ids) GROUP BY client_order_id"
        )
        return {
            row["client_order_id"]: Executed(
                row["quantity"], row["value"], row["commission"] or Decimal(0), row["profit"]
            )
            for row in await self._rows(query, ids=list(client_order_ids))
        }

    async def cursors(self, reader: str) -> dict[str, str]:
        """Cursor by stream."""
        rows = await self._rows("SELECT stream, entry FROM pms_risk.cursors WHERE reader = :reader", reader=reader)
        return {row["stream"]: row["entry"] for row in rows}

    async def _rows(self, query: str, **values: Any) -> Sequence[dict[str, Any]]:
        async with self._engine.connect() as connection:
            return [dict(row._mapping) for row in await connection.execute(text(query), values)]


class Cursors:
    """The bus's cursors, written with the journal: never ahead of what is committed."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    async def load(self, group: str) -> Mapping[str, str]:
        """Cursor by stream."""
        return await self._store.cursors(group)

    async def save(self, group: str, cursors: Mapping[str, str]) -> None:
        """Have the cursors written with the next commit."""
        self._journal.cursors(group, cursors)
