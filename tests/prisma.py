"""The database of the JS application as its Prisma schema makes it, in two generations: that of its first PostgreSQL
migrations, and the newest.

Written down from the schema's facts, independently of our own migrations.
"""

from typing import Literal

Generation = Literal["first", "newest"]
_ID = "id TEXT NOT NULL"
_ACCOUNT = "sub_account_id TEXT NOT NULL"
_MADE = "created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP"
_CHANGED = "updated_at TIMESTAMP(3) NOT NULL"
_AT = "timestamp TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP"


def _floats(names: str) -> list[str]:
    return [f"{name} DOUBLE PRECISION NOT NULL" for name in names.split()]


_COLUMNS: dict[str, list[str]] = {
    "users": [
        *(_ID, "username TEXT NOT NULL", "password_hash TEXT NOT NULL", "role TEXT NOT NULL DEFAULT 'USER'"),
        *("status TEXT NOT NULL DEFAULT 'PENDING'", "api_key TEXT", "current_challenge TEXT", _MADE, _CHANGED),
    ],
    "sub_accounts": [
        *(_ID, "user_id TEXT", "name TEXT NOT NULL", "type TEXT NOT NULL DEFAULT 'USER'"),
        *_floats("initial_balance current_balance"),
        *("status TEXT NOT NULL DEFAULT 'ACTIVE'", "liquidation_mode TEXT NOT NULL DEFAULT 'ADL_30'"),
        *("maintenance_rate DOUBLE PRECISION NOT NULL DEFAULT 0.005", _MADE, _CHANGED),
    ],
    "risk_rules": [
        *(_ID, "sub_account_id TEXT", "is_global BOOLEAN NOT NULL DEFAULT false"),
        "max_leverage DOUBLE PRECISION NOT NULL DEFAULT 100",
        "max_notional_per_trade DOUBLE PRECISION NOT NULL DEFAULT 200",
        "max_total_exposure DOUBLE PRECISION NOT NULL DEFAULT 500",
        "liquidation_threshold DOUBLE PRECISION NOT NULL DEFAULT 0.90",
    ],
    "virtual_positions": [
        *(_ID, _ACCOUNT, "symbol TEXT NOT NULL", "side TEXT NOT NULL"),
        *_floats("entry_price quantity notional leverage margin liquidation_price"),
        *("status TEXT NOT NULL DEFAULT 'OPEN'", "realized_pnl DOUBLE PRECISION"),
        *("taken_over BOOLEAN NOT NULL DEFAULT false", "taken_over_by TEXT", "taken_over_at TIMESTAMP(3)"),
        *("opened_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP", "closed_at TIMESTAMP(3)"),
    ],
    "trade_executions": [
        *(_ID, _ACCOUNT, "position_id TEXT", "exchange_order_id TEXT", "client_order_id TEXT"),
        *("symbol TEXT NOT NULL", "side TEXT NOT NULL", "type TEXT NOT NULL"),
        *(*_floats("price quantity notional"), "fee DOUBLE PRECISION NOT NULL DEFAULT 0"),
        *("realized_pnl DOUBLE PRECISION", "action TEXT NOT NULL", "origin_type TEXT NOT NULL DEFAULT 'MANUAL'"),
        *("status TEXT NOT NULL DEFAULT 'FILLED'", "signature TEXT NOT NULL", _AT),
    ],
    "balance_logs": [
        *(_ID, _ACCOUNT, *_floats("balance_before balance_after change_amount")),
        *("reason TEXT NOT NULL", "trade_id TEXT", _AT),
    ],
    "pending_orders": [
        *(_ID, _ACCOUNT, "symbol TEXT NOT NULL", "side TEXT NOT NULL", "type TEXT NOT NULL DEFAULT 'LIMIT'"),
        *(*_floats("price quantity leverage"), "exchange_order_id TEXT", "status TEXT NOT NULL DEFAULT 'PENDING'"),
        *(_MADE, "filled_at TIMESTAMP(3)", "cancelled_at TIMESTAMP(3)"),
    ],
}
_GENERATIONS: dict[Generation, dict[str, list[str]]] = {
    "first": {"virtual_positions": ["babysitter_excluded BOOLEAN NOT NULL DEFAULT false"]},
    "newest": {
        "sub_accounts": ["routing_prefix TEXT"],
        "pending_orders": ["client_order_id TEXT", "origin TEXT NOT NULL DEFAULT 'MANUAL'", "parent_id TEXT"],
    },
}
_UNIQUE = ("users.username", "users.api_key", "risk_rules.sub_account_id")
_INDEXES = (
    *("sub_accounts.user_id.status", "sub_accounts.status", "risk_rules.is_global"),
    *("virtual_positions.sub_account_id.status", "virtual_positions.symbol.status"),
    "virtual_positions.sub_account_id.symbol.side.status",
    *("trade_executions.sub_account_id.timestamp", "trade_executions.sub_account_id.status.timestamp"),
    *("trade_executions.sub_account_id.symbol.timestamp", "trade_executions.exchange_order_id"),
    *("balance_logs.sub_account_id.timestamp", "pending_orders.exchange_order_id"),
    *("pending_orders.status.type", "pending_orders.sub_account_id.status"),
)
_KEYS = (
    *("sub_accounts.user_id.users.SET NULL", "risk_rules.sub_account_id.sub_accounts.SET NULL"),
    *("virtual_positions.sub_account_id.sub_accounts.RESTRICT", "balance_logs.sub_account_id.sub_accounts.RESTRICT"),
    "trade_executions.sub_account_id.sub_accounts.RESTRICT",
    "trade_executions.position_id.virtual_positions.SET NULL",
    "pending_orders.sub_account_id.sub_accounts.RESTRICT",
)
_PARTIAL = (
    "CREATE INDEX idx_positions_open ON virtual_positions (sub_account_id, symbol) WHERE status = 'OPEN'",
    "CREATE INDEX idx_orders_pending ON pending_orders (sub_account_id) WHERE status = 'PENDING'",
)
TABLES = tuple(_COLUMNS)


def tables(generation: Generation) -> str:
    """What makes all tables on an empty database."""
    more = _GENERATIONS[generation]
    unique, indexes = [*_UNIQUE], [*_INDEXES]
    if generation == "newest":
        unique += ["sub_accounts.routing_prefix", "pending_orders.client_order_id"]
        indexes += ["pending_orders.client_order_id"]
    made = []
    for name, columns in _COLUMNS.items():
        quoted = [f'"{column.split()[0]}" {column.split(maxsplit=1)[1]}' for column in columns + more.get(name, [])]
        made.append(f'CREATE TABLE "{name}" ({", ".join(quoted)}, CONSTRAINT "{name}_pkey" PRIMARY KEY ("id"))')
    for name, *columns in (index.split(".") for index in unique):
        made.append(f'CREATE UNIQUE INDEX "{name}_{"_".join(columns)}_key" ON "{name}" ({_quoted(columns)})')
    for name, *columns in (index.split(".") for index in indexes):
        made.append(f'CREATE INDEX "{name}_{"_".join(columns)}_idx" ON "{name}" ({_quoted(columns)})')
    for name, column, other, then in (key.split(".") for key in _KEYS):
        made.append(
            f'ALTER TABLE "{name}" ADD CONSTRAINT "{name}_{column}_fkey" FOREIGN KEY ("{column}")'
            f' REFERENCES "{other}"("id") ON DELETE {then} ON UPDATE CASCADE'
        )
    if generation == "first":
        made.append(
            "CREATE INDEX idx_positions_babysitter ON virtual_positions (sub_account_id)"
            " WHERE status = 'OPEN' AND babysitter_excluded = false"
        )
    return "; ".join((*made, *_PARTIAL))


def _quoted(columns: list[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
