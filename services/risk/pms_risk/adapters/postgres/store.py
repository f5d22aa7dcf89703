"""Reads risk's tables: everything at start, single facts that memory does not hold.

Never used on the hot path. Used by the start, by what is told late and by the bus for its cursors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.bus.exchange import CashFlow
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.domain.account import SETTLEMENT_ASSET, Account
from pms_risk.domain.activity import TRANSFERS
from pms_risk.domain.books import MAX_CLOSED, Books
from pms_risk.domain.fills import MAX_KEYS, FillKey
from pms_risk.domain.funding import MAX_SETTLED, Funding
from pms_risk.domain.gates import Gates
from pms_risk.domain.house import HOUSE, POOL
from pms_risk.domain.moves import Move
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules

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
        """Accounts with rules, open positions, house cash, and the newest fill keys."""
        rules = {row["account_id"]: _rules(row) for row in await self._rows("SELECT * FROM pms_risk.rules")}
        for row in await self._rows("SELECT * FROM pms_risk.accounts WHERE status <> 'CLOSED'"):
            books.accounts[row["id"]] = _account(row, rules.get(row["id"], Rules()))
        for row in await self._rows("SELECT * FROM pms_risk.positions WHERE closed_ms IS NULL"):
            _take_position(books, row)
        newest = "SELECT id FROM pms_risk.positions WHERE closed_ms IS NOT NULL ORDER BY closed_ms DESC LIMIT :most"
        for row in reversed(await self._rows(newest, most=MAX_CLOSED)):
            books.remember_closed(row["id"])
        sums = "SELECT book, asset, sum(amount) AS cash FROM pms_risk.house_ledger GROUP BY book, asset"
        for row in await self._rows(sums):
            books.house.cash[row["book"], row["asset"]] = row["cash"]
        opening = "SELECT max(at_ms) AS at_ms FROM pms_risk.house_ledger WHERE cause = 'opening_wallet'"
        books.house.opened_ms = (await self._rows(opening))[0]["at_ms"]
        await self._load_fills(books)
        await self._load_flows(books)

    async def _load_fills(self, books: Books) -> None:
        newest = (
            "SELECT symbol, trade_id, exchange_order_id, trade_ms, owner, leg, price, excess,"
            " CASE side WHEN 'BUY' THEN 1 ELSE -1 END AS sign, quantity"
            " FROM pms_risk.fills ORDER BY trade_ms DESC, trade_id DESC LIMIT :most"
        )
        rows = await self._rows(newest, most=MAX_KEYS)
        for row in reversed(rows):
            key = (row["symbol"], row["trade_id"], row["exchange_order_id"])
            books.remember(key, row["trade_ms"])
        if len(rows) == MAX_KEYS:
            books.fills.complete_from_ms = books.moves.complete_from_ms = rows[-1]["trade_ms"]
        moves = [move for row in rows for move in _moves_of(row)]
        for row in await self._rows(
            "SELECT * FROM pms_risk.moves WHERE at_ms > :since", since=books.fills.complete_from_ms
        ):
            moves.append(_move(row, row["owner"], row["quantity"], row["at_ms"], row["liquidation"]))
        for move in sorted(moves, key=lambda move: move.at_ms):
            books.moves.add(move)

    async def _load_flows(self, books: Books) -> None:
        """The newest cash flows, and the fundings of as long as the exchange tells of them."""
        flows = "SELECT kind, flow_id, asset, symbol, at_ms FROM pms_risk.flows ORDER BY at_ms DESC LIMIT :most"
        rows = await self._rows(flows, most=MAX_KEYS)
        for row in reversed(rows):
            books.flows.remember(f"{row['kind']}:{row['flow_id']}:{row['asset']}:{row['symbol']}", row["at_ms"])
        if len(rows) == MAX_KEYS:
            books.flows.complete_from_ms = rows[-1]["at_ms"]
        fundings = "SELECT symbol, rate, mark, at_ms FROM pms_risk.fundings ORDER BY at_ms DESC LIMIT :most"
        rows = await self._rows(fundings, most=MAX_SETTLED)
        books.fundings.load(Funding(**row) for row in reversed(rows))

    async def load_results(self, books: Books, day_start_ms: int) -> None:
        """What each account's trading has earned since the day began."""
        query = (
            "SELECT account_id, sum(amount) AS amount, max(at_ms) AS at_ms FROM pms_risk.ledger"
            " WHERE at_ms >= :since AND asset = :asset AND cause <> ALL(:transfers) GROUP BY account_id"
        )
        rows = await self._rows(query, since=day_start_ms, asset=SETTLEMENT_ASSET, transfers=list(TRANSFERS))
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
        query = "SELECT account_id, reference, cause FROM pms_risk.ledger WHERE cause = ANY(:causes) AND at_ms > :since"
        rows = await self._rows(query, causes=list(OPERATOR_CAUSES), since=now_ms - OPERATOR_REQUESTS_MS)
        return {(row["account_id"], row["reference"], row["cause"]) for row in rows}

    async def is_booked(self, key: FillKey) -> bool:
        """Whether the execution is in the table."""
        query = (
            "SELECT 1 FROM pms_risk.fills WHERE symbol = :symbol AND trade_id = :trade AND exchange_order_id = :order"
        )
        return bool(await self._rows(query, symbol=key[0], trade=key[1], order=key[2]))

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
            "SELECT client_order_id, sum(quantity) AS quantity, sum(price * quantity) AS value,"
            " sum(commission) FILTER (WHERE commission_asset = 'USDT') AS commission, sum(profit) AS profit"
            " FROM pms_risk.fills WHERE client_order_id = ANY(:ids) GROUP BY client_order_id"
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

    async def _rows(self, query: str, **values: Any) -> Sequence[Mapping[str, Any]]:
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


def _account(row: Mapping[str, Any], rules: Rules) -> Account:
    account = Account(row["id"], row["name"], row["created_ms"], row["created_by"])
    account.cash = row["cash"]
    account.status = row["status"]
    account.maintenance_rate = row["maintenance_rate"]
    account.maintenance_mode = row["maintenance_mode"]
    account.liquidation_mode = row["liquidation_mode"]
    account.rules = rules
    return account


def _rules(row: Mapping[str, Any]) -> Rules:
    return Rules(
        max_leverage=row["max_leverage"],
        max_notional_per_trade=row["max_notional_per_trade"],
        max_total_exposure=row["max_total_exposure"],
        liquidation_threshold=row["liquidation_threshold"],
        allowed_symbols=frozenset(filter(None, row["allowed_symbols"].split(","))),
        max_open_orders=row["max_open_orders"],
        max_daily_loss=row["max_daily_loss"],
        max_orders_per_minute=row["max_orders_per_minute"],
    )


def _take_position(books: Books, row: Mapping[str, Any]) -> None:
    position = Position(
        id=row["id"],
        symbol=row["symbol"],
        leg=row["leg"],
        leverage=row["leverage"],
        opened_ms=row["opened_ms"],
        quantity=row["quantity"],
        cost=row["cost"],
        realized=row["realized"],
    )
    if row["owner"] == HOUSE:
        books.house.positions[position.symbol, position.leg] = position
    else:
        books.take_position(books.accounts[row["owner"]], position)


def _moves_of(row: Mapping[str, Any]) -> Iterator[Move]:
    """What the owner of an execution got of it, and what the house."""
    if row["owner"] == POOL:
        return
    signed = row["sign"] * row["quantity"]
    beyond = row["sign"] * row["excess"]
    if signed != beyond:
        yield _move(row, row["owner"], signed - beyond, row["trade_ms"])
    if beyond:
        yield _move(row, HOUSE, beyond, row["trade_ms"])


def _move(row: Mapping[str, Any], owner: str, quantity: Decimal, at_ms: int, liquidation: bool = False) -> Move:
    return Move(owner, row["symbol"], row["leg"], quantity, row["price"], at_ms, liquidation)
