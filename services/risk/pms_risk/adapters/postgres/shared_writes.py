"""What risk writes for the JS application to read: accounts, their positions, trades and balance logs.

Owns the mapping to its words and the statements: projections that ride in the journal's transactions, most of them on
rows that the journal has anyway, which a table that takes no row does not hold up. Each row's id follows from what it
tells, so that the same is never told twice. Never read back, but for what `shared_accounts` watches.
Source of columns and words: the application's Prisma schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.contracts.bus.exchange import ForeignOrder
from pms_common.contracts.bus.orders import Fill, OrderView
from pms_common.contracts.symbols import ccxt_symbol
from pms_common.db import Statement
from pms_common.db.shared_tables import columns_of, id_of, utc
from pms_common.logging import get_logger
from pms_risk.adapters.postgres import statements as sql
from pms_risk.domain.account import SETTLEMENT_ASSET, Account
from pms_risk.domain.administration import LIMITS, MAX_BALANCE, TERMS, Terms
from pms_risk.domain.booking import Booking
from pms_risk.domain.execution import Step

log = get_logger(__name__)

Row = tuple[Any, ...]

_ENROLMENT = {
    "account_id": "text",
    "made_there": "boolean",
    "at_ms": "bigint",
    "cash": "numeric",
    **dict.fromkeys(TERMS[:3], "text"),
    **dict.fromkeys(TERMS[3:], "double precision"),
}
_ACCOUNT = {
    "id": "r.account_id",
    "name": "r.name",
    "initial_balance": "r.cash",
    "current_balance": "0",
    "status": "r.status",
    "liquidation_mode": "r.liquidation_mode",
    "maintenance_rate": "r.maintenance_rate",
    "created_at": utc("r.at_ms"),
    "updated_at": utc("r.at_ms"),
}
_RULE = {"id": id_of("'rules:' || r.account_id"), "sub_account_id": "r.account_id", **{n: f"r.{n}" for n in LIMITS}}

_BOOKED = (
    "(SELECT coalesce(sum(l.amount), 0) FROM pms_risk.ledger AS l"
    " WHERE l.account_id = r.account_id AND l.cause = 'admin_set')"
)

_TRADE = {
    "reference": "text",
    "step": "integer",
    "account_id": "text",
    "position_id": "text",
    "exchange_order_id": "text",
    "client_order_id": "text",
    "symbol": "text",
    "side": "text",
    "type": "text",
    "price": "numeric",
    "quantity": "numeric",
    "fee": "numeric",
    "realized_pnl": "numeric",
    "action": "text",
    "at_ms": "bigint",
}
_TRADE_KEY = "'trade:' || r.reference || ':' || r.step"
_EXECUTION = {
    "id": id_of(_TRADE_KEY),
    "sub_account_id": "r.account_id",
    "position_id": "v.id",
    **{name: f"r.{name}" for name in ("exchange_order_id", "client_order_id", "symbol", "side", "type")},
    **{name: f"r.{name}" for name in ("price", "quantity", "fee", "realized_pnl", "action")},
    "notional": "r.price * r.quantity",
    "signature": f"encode(sha256(convert_to({_TRADE_KEY}, 'UTF8')), 'hex')",
    "timestamp": utc("r.at_ms"),
}
_LOG = {
    "id": id_of("'log:' || r.key"),
    "sub_account_id": "r.holder",
    "balance_before": "r.balance_before",
    "balance_after": "r.balance_after",
    "change_amount": "r.amount",
    "reason": "CASE WHEN r.cause = 'commission' THEN 'COMMISSION'"
    " WHEN t.action = 'LIQUIDATE' THEN 'LIQUIDATION' WHEN t.action = 'TAKEOVER' THEN 'ADMIN_TAKEOVER'"
    " WHEN t.action LIKE 'ADL%' OR t.action IN ('PARTIAL_LIQUIDATION', 'LIMIT_CLOSE') THEN t.action"
    " WHEN r.cause = 'realized_pnl' THEN 'TRADE_PNL' ELSE upper(r.cause) END",
    "trade_id": "t.id",
    "timestamp": utc("r.at_ms"),
}
_POSITION = {
    "id": "p.id",
    "sub_account_id": "p.owner",
    "symbol": "p.symbol",
    "side": "CASE WHEN p.quantity > 0 THEN 'LONG' ELSE 'SHORT' END",
    "entry_price": "p.cost / p.quantity",
    "quantity": "abs(p.quantity)",
    "notional": "abs(p.cost)",
    "leverage": "p.leverage",
    "margin": "coalesce(p.isolated, abs(p.cost) / p.leverage)",
    "liquidation_price": "greatest(0, (p.cost + abs(p.cost) * p.rate / p.threshold - p.cash) / p.quantity)",
    "babysitter_excluded": "true",
    "opened_at": utc("p.opened_ms"),
}
"""While it is open. Margin and notional are those at entry; of an isolated one the margin is what is assigned to it.
The price is that of a position alone at the flat rate, as the application's own engine stored it; the one that holds is
in `pms:risk:*`."""
_END = {
    "status": "coalesce(e.ended, 'OPEN')",
    "realized_pnl": "e.realized",
    "closed_at": utc("e.closed_ms"),
    "taken_over": "coalesce(e.ended = 'TAKEN_OVER', false)",
    "taken_over_by": "CASE e.ended WHEN 'TAKEN_OVER' THEN 'SYSTEM_LIQ' END",
    "taken_over_at": f"CASE e.ended WHEN 'TAKEN_OVER' THEN {utc('e.closed_ms')} END",
}
_CCXT = (
    "regexp_replace(regexp_replace(r.symbol, '^([^_]+)USDT(_.*)?$', '\\1/USDT:USDT\\2'), '^(.+/USDT:USDT)_', '\\1-')"
)
"""As `ccxt_symbol` does it."""
_WRITTEN: dict[str, set[str]] = {
    "sub_accounts": {*_ACCOUNT},
    "risk_rules": {*_RULE},
    "virtual_positions": {*_POSITION, *_END},
    "trade_executions": {*_EXECUTION},
    "balance_logs": {*_LOG},
}


@dataclass(frozen=True, slots=True)
class Made:
    """What made a deal, as trade rows tell it: by default a takeover. `closing` is the action of what it closes."""

    price: Decimal
    closing: str = "TAKEOVER"
    order_type: str = "MARKET"
    exchange_order_id: str | None = None
    client_order_id: str | None = None

    @property
    def ended(self) -> str:
        """Status of the positions that it closes."""
        if self.closing == "TAKEOVER":
            return "TAKEN_OVER"
        return "LIQUIDATED" if self.closing.startswith(("LIQUIDATE", "ADL")) else "CLOSED"

    @classmethod
    def by_order(cls, order: OrderView, fill: Fill) -> "Made":
        """An execution of an order of ours."""
        closing = "TRAIL_STOP" if order.origin == "TRAIL_STOP" else "CLOSE"
        if order.origin == "LIQUIDATION":
            closing = order.command or "LIQUIDATE"  # the liquidation names its tier
        elif order.command == "limit_close":
            closing = "LIMIT_CLOSE"
        return cls(fill.price, closing, order.order_type, str(order.exchange_order_id), order.client_order_id)

    @classmethod
    def by_others(cls, told: ForeignOrder, fill: Fill) -> "Made":
        """An execution of the exchange's own order."""
        closing = {"liquidation": "LIQUIDATE", "adl": "ADL"}.get(told.kind, "CLOSE")
        return cls(fill.price, closing, "MARKET", str(told.exchange_order_id), told.client_order_id)


@dataclass(frozen=True, slots=True)
class SharedWrites:
    """The statements for the tables as they were found, in the order in which they run."""

    enrolment: Statement | None = None
    trade: Statement | None = None
    projections: list[Statement] = field(default_factory=list)
    ccxt: bool = False
    left_behind: str = ""

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All of them. Trades come before the logs that name them, positions before the trades."""
        first = [self.enrolment] if self.enrolment else []
        return (*first, *self.projections)

    @property
    def again(self) -> dict[str, Statement]:
        """Those whose rows are kept where their table does not take them, by name: history, which nothing else tells
        again."""
        return {statement.name: statement for statement in self.projections if statement.kept is not None}

    async def positions_left_behind(self, engine: AsyncEngine) -> list[Row]:
        """Rows of `POSITION` of which the table tells something else or nothing, because it did not take them."""
        if not self.left_behind:
            return []
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(self.left_behind))]

    def enrolled(self, account: Account, agreed: Terms, made_there: bool) -> Row:
        """An account that both sides have from now on: made here, or (`made_there`) by the JS application.

        `agreed` are its terms as both have them.
        """
        terms = (*(agreed[name] for name in TERMS),)
        return (account.id, made_there, account.created_ms, account.cash, *terms)

    def traded(self, booking: Booking, made: Made, at_ms: int) -> list[Row]:
        """The trade rows of a deal: one, or two where it closes a position and opens the opposite one."""
        return [self._trade(booking, n, step, made, at_ms) for n, step in enumerate(booking.own_steps)]

    def _trade(self, booking: Booking, n: int, step: Step, made: Made, at_ms: int) -> Row:
        closes = step.kind in ("reduced", "closed")
        position, price = step.position, made.price
        symbol = ccxt_symbol(position.symbol) if self.ccxt else position.symbol
        side = "BUY" if (step.side == "LONG") != closes else "SELL"
        action = made.closing if closes else "OPEN" if step.kind == "opened" else "ADD"
        named = (booking.reference, n, booking.owner, position.id, made.exchange_order_id, made.client_order_id)
        paid = booking.paid if not n else 0
        return (
            *(*named, symbol, side, made.order_type, price, step.quantity, paid),
            *(step.profit if closes else None, action, at_ms),
        )


async def adopt(engine: AsyncEngine, symbols: Literal["native", "ccxt"]) -> SharedWrites:
    """What can be written to the tables as they are; what cannot is logged."""
    found: dict[str, set[str]] = {}
    async with engine.connect() as connection:
        for table, written in _WRITTEN.items():
            columns = await columns_of(connection, table)
            unknown = sorted(name for name, required in columns.items() if required and name not in written)
            if unknown or "id" not in columns:
                why = f"unknown columns {unknown}" if columns else "no such table"
                log.error("shared_table_not_written", table=table, why=why)
            else:
                found[table] = set(columns)
    return _statements(found, symbols == "ccxt")


def _statements(found: Mapping[str, set[str]], ccxt: bool) -> SharedWrites:
    """Everything hangs on the accounts, by foreign keys."""
    if not {"sub_accounts", "risk_rules"} <= found.keys():
        return SharedWrites()
    projections = []
    trade = None
    left_behind = ""
    if "virtual_positions" in found:
        left_behind = _left_behind(found["virtual_positions"])
        projections.append(_of(sql.POSITION, _positions(found["virtual_positions"], ccxt)))
    if {"trade_executions", "virtual_positions"} <= found.keys():
        trade = Statement(
            _trades(found["trade_executions"]), _TRADE, optional=True, name="trade_executions", kept=sql.LEFT_OUT
        )
        projections.append(trade)
        if "balance_logs" in found:
            logs = Statement(
                *(_logs(found["balance_logs"]), sql.LEDGER.columns),
                optional=True,
                rows_of=sql.LEDGER,
                name="balance_logs",
                kept=sql.LEFT_OUT,
            )
            projections.append(logs)
    projections.append(_of(sql.ACCOUNT, _BALANCE, ("id",)))
    enrolment = Statement(_enrolment(found), _ENROLMENT, latest_by=("account_id",), optional=True)
    return SharedWrites(enrolment, trade, projections, ccxt, left_behind)


def _of(source: Statement, text: str, latest_by: tuple[str, ...] = ()) -> Statement:
    return Statement(text, source.columns, latest_by, optional=True, rows_of=source)


def _insert(table: str, columns: set[str], written: Mapping[str, str], source: str) -> str:
    names = [name for name in written if name in columns]
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table} ({quoted}) SELECT {', '.join(written[name] for name in names)} FROM {source}"


def _enrolment(found: Mapping[str, set[str]]) -> str:
    """Where both sides knew the account before they met, the books' cash stands and the other's terms do.

    What is found from now on is added to what an account of this id had booked before.
    """
    here = "r WHERE NOT r.made_there ON CONFLICT DO NOTHING"
    left = "CASE WHEN r.made_there THEN 0 ELSE coalesce(s.current_balance, 0) END"
    return (
        "WITH r AS MATERIALIZED (SELECT * FROM :rows),"
        f" made AS ({_insert('sub_accounts', found['sub_accounts'], _ACCOUNT, here)}),"
        f" ruled AS ({_insert('risk_rules', found['risk_rules'], _RULE, here)})"
        f" INSERT INTO pms_risk.administered (account_id, balance, found, {', '.join(TERMS)})"
        f" SELECT r.account_id, {left}, {_BOOKED} - CASE WHEN r.made_there THEN r.cash ELSE 0 END,"
        f" {', '.join(f'r.{name}' for name in TERMS)}"
        " FROM r LEFT JOIN sub_accounts AS s ON s.id = r.account_id ON CONFLICT (account_id) DO NOTHING"
    )


_BALANCE = (
    # Locked rows are read as they are after the wait for the lock. What is not what we left there was set by another
    # since: it is found (`Balance.found_by_now` says the same), once, and stays in the row until it is in the books,
    # whatever is booked meanwhile.
    "WITH r AS MATERIALIZED (SELECT id, cash FROM :rows),"
    " held AS MATERIALIZED (SELECT s.id, s.current_balance AS balance, r.cash FROM r JOIN sub_accounts AS s USING (id)"
    " ORDER BY s.id FOR NO KEY UPDATE OF s),"
    " seen AS MATERIALIZED (SELECT h.id, h.cash, w.found + CASE WHEN h.balance = w.balance"
    f" OR h.balance = 'NaN' OR abs(h.balance) > {MAX_BALANCE} THEN 0"
    " ELSE round(h.balance::text::numeric, 8) - w.exact END AS found,"
    f" {_BOOKED.replace('r.account_id', 'h.id')} AS booked"
    " FROM held AS h JOIN pms_risk.administered AS w ON w.account_id = h.id),"
    " kept AS (UPDATE pms_risk.administered AS w SET cash = n.cash, found = n.found,"
    " exact = n.cash + n.found - n.booked, balance = (n.cash + n.found - n.booked)::double precision"
    " FROM seen AS n WHERE w.account_id = n.id)"
    " UPDATE sub_accounts AS s SET current_balance = (n.cash + n.found - n.booked)::double precision,"
    " updated_at = timezone('UTC', now()) FROM seen AS n WHERE s.id = n.id"
)


def _positions(columns: set[str], ccxt: bool) -> str:
    """On closing, quantity, notional and margin keep their last values."""
    symbol = _CCXT if ccxt else "r.symbol"
    written = _POSITION | _END
    changing = [name for name in written if name in columns and name not in ("id", "opened_at")]
    changes = ", ".join(f"{name} = excluded.{name}" for name in changing)
    ends = ", ".join(f"{name} = {text}" for name, text in _END.items() if name in columns)
    return (
        f"WITH r AS MATERIALIZED (SELECT r.*, {symbol} AS shown, row_number() OVER () AS n FROM :rows),"
        " last AS (SELECT DISTINCT ON (id) * FROM r WHERE quantity <> 0 ORDER BY id, n DESC),"
        " e AS (SELECT * FROM r WHERE quantity = 0),"
        " p AS (SELECT l.id, l.owner, l.shown AS symbol, l.quantity, l.cost, l.leverage, l.isolated, l.opened_ms,"
        " coalesce(l.isolated, a.cash) AS cash,"
        " coalesce(nullif(a.maintenance_rate, 0), 0.005) AS rate,"
        " CASE WHEN u.liquidation_threshold > 0 AND u.liquidation_threshold <= 1"
        " THEN u.liquidation_threshold ELSE 0.9 END AS threshold"
        " FROM last AS l JOIN pms_risk.accounts AS a ON a.id = l.owner"
        " LEFT JOIN pms_risk.rules AS u ON u.account_id = l.owner"
        " JOIN sub_accounts AS s ON s.id = l.owner FOR KEY SHARE OF s),"
        f" held AS ({_insert('virtual_positions', columns, written, 'p LEFT JOIN e ON e.id = p.id')}"
        f" ON CONFLICT (id) DO UPDATE SET {changes})"
        f" UPDATE virtual_positions AS v SET {ends} FROM e"
        " WHERE v.id = e.id AND NOT EXISTS (SELECT FROM last AS l WHERE l.id = e.id)"
    )


def _left_behind(columns: set[str]) -> str:
    """Rows of closed positions that are gone there stay gone."""
    told = {name: _POSITION[name] for name in ("quantity", "notional", "leverage") if name in columns}
    there = ", ".join(f"v.{name}" for name in told)
    here = ", ".join(f"({value})::double precision" for value in told.values())
    return (
        f"SELECT {', '.join(f'p.{name}' for name in sql.POSITION.columns)} FROM pms_risk.positions AS p"
        " JOIN sub_accounts AS s ON s.id = p.owner LEFT JOIN virtual_positions AS v ON v.id = p.id"
        f" WHERE p.closed_ms IS NULL AND (v.status, {there}) IS DISTINCT FROM ('OPEN', {here})"
        " OR p.closed_ms IS NOT NULL AND v.status = 'OPEN'"
    )


def _trades(columns: set[str]) -> str:
    known = "r JOIN sub_accounts AS s ON s.id = r.account_id LEFT JOIN virtual_positions AS v ON v.id = r.position_id"
    return (
        "WITH r AS MATERIALIZED (SELECT * FROM :rows)"
        f" {_insert('trade_executions', columns, _EXECUTION, known)} FOR KEY SHARE OF s ON CONFLICT DO NOTHING"
    )


def _logs(columns: set[str]) -> str:
    """The application logs itself what its admins set."""
    trade = f"t.id = {id_of(_TRADE_KEY.replace('r.step', '0'))}"
    theirs = (
        "SELECT FROM balance_logs AS b WHERE b.sub_account_id = r.holder AND r.cause = 'admin_set'"
        " AND b.reason IN ('ADMIN_SET', 'DEPOSIT', 'WITHDRAWAL') AND abs(b.change_amount - r.amount) < 1e-6"
        f" AND b.\"timestamp\" > {utc('r.at_ms')} - interval '10 s'"
    )
    known = f"r JOIN sub_accounts AS s ON s.id = r.holder LEFT JOIN trade_executions AS t ON {trade}"
    asset = f"r.asset = '{SETTLEMENT_ASSET}'"
    return (
        "WITH r AS MATERIALIZED (SELECT * FROM :rows)"
        f" {_insert('balance_logs', columns, _LOG, known)}"
        f" WHERE {asset} AND NOT EXISTS ({theirs}) FOR KEY SHARE OF s ON CONFLICT DO NOTHING"
    )
