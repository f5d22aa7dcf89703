"""Tables of the JS application that risk writes: made where they are not there, otherwise left as they are.

Columns, keys and indexes are those its Prisma schema defines (newest generation). A downgrade removes those of ours in
which nothing is stored and which nothing refers to: the application may have put its own there since.
`pms_risk.administered` holds what risk and that application last agreed on, so that whatever differs from it is
somebody's change.

`pending_orders` that 0007 made gets the foreign key that Prisma's has. It is safe for the order service, which writes
only rows of accounts it finds (an account is there before its first order: it is in the transaction that its creation
is answered after), and for the JS application, which deletes an account's orders before the account; without it an
order that ends later would bring back the row of a deleted account, and Prisma could not add the key any more. Rows of
accounts that are not there yet stay: the key is then not validated.
"""

from typing import Any

from alembic import op
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError

revision = "0013"
down_revision = ("0007", "0009", "0012")
branch_labels = None
depends_on = None

OURS = "made by pms"
DEPENDENT_OBJECTS_STILL_EXIST = "2BP01"
NOW = "timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP"
TABLES = {
    "users": (
        "id text NOT NULL, username text NOT NULL, password_hash text NOT NULL, role text NOT NULL DEFAULT 'USER',"
        " status text NOT NULL DEFAULT 'PENDING', api_key text, current_challenge text,"
        f" created_at {NOW}, updated_at timestamp(3) NOT NULL"
    ),
    "sub_accounts": (
        "id text NOT NULL, user_id text, routing_prefix text, name text NOT NULL, type text NOT NULL DEFAULT 'USER',"
        " initial_balance double precision NOT NULL, current_balance double precision NOT NULL,"
        " status text NOT NULL DEFAULT 'ACTIVE', liquidation_mode text NOT NULL DEFAULT 'ADL_30',"
        f" maintenance_rate double precision NOT NULL DEFAULT 0.005, created_at {NOW}, updated_at timestamp(3) NOT NULL"
    ),
    "risk_rules": (
        "id text NOT NULL, sub_account_id text, is_global boolean NOT NULL DEFAULT false,"
        " max_leverage double precision NOT NULL DEFAULT 100,"
        " max_notional_per_trade double precision NOT NULL DEFAULT 200,"
        " max_total_exposure double precision NOT NULL DEFAULT 500,"
        " liquidation_threshold double precision NOT NULL DEFAULT 0.90"
    ),
    "virtual_positions": (
        "id text NOT NULL, sub_account_id text NOT NULL, symbol text NOT NULL, side text NOT NULL,"
        " entry_price double precision NOT NULL, quantity double precision NOT NULL,"
        " notional double precision NOT NULL, leverage double precision NOT NULL, margin double precision NOT NULL,"
        " liquidation_price double precision NOT NULL, status text NOT NULL DEFAULT 'OPEN',"
        " realized_pnl double precision, taken_over boolean NOT NULL DEFAULT false, taken_over_by text,"
        f" taken_over_at timestamp(3), opened_at {NOW}, closed_at timestamp(3)"
    ),
    "trade_executions": (
        "id text NOT NULL, sub_account_id text NOT NULL, position_id text, exchange_order_id text,"
        " client_order_id text, symbol text NOT NULL, side text NOT NULL, type text NOT NULL,"
        " price double precision NOT NULL, quantity double precision NOT NULL, notional double precision NOT NULL,"
        " fee double precision NOT NULL DEFAULT 0, realized_pnl double precision, action text NOT NULL,"
        " origin_type text NOT NULL DEFAULT 'MANUAL', status text NOT NULL DEFAULT 'FILLED',"
        f' signature text NOT NULL, "timestamp" {NOW}'
    ),
    "balance_logs": (
        "id text NOT NULL, sub_account_id text NOT NULL, balance_before double precision NOT NULL,"
        " balance_after double precision NOT NULL, change_amount double precision NOT NULL, reason text NOT NULL,"
        f' trade_id text, "timestamp" {NOW}'
    ),
}
UNIQUE = (
    ("users", "username"),
    ("users", "api_key"),
    ("sub_accounts", "routing_prefix"),
    ("risk_rules", "sub_account_id"),
)
INDEXES = (
    ("sub_accounts", "user_id", "status"),
    ("sub_accounts", "status"),
    ("risk_rules", "is_global"),
    ("virtual_positions", "sub_account_id", "status"),
    ("virtual_positions", "symbol", "status"),
    ("virtual_positions", "sub_account_id", "symbol", "side", "status"),
    ("trade_executions", "sub_account_id", "timestamp"),
    ("trade_executions", "sub_account_id", "status", "timestamp"),
    ("trade_executions", "sub_account_id", "symbol", "timestamp"),
    ("trade_executions", "exchange_order_id"),
    ("balance_logs", "sub_account_id", "timestamp"),
)
KEYS = (
    ("sub_accounts", "user_id", "users", "SET NULL"),
    ("risk_rules", "sub_account_id", "sub_accounts", "SET NULL"),
    ("virtual_positions", "sub_account_id", "sub_accounts", "RESTRICT"),
    ("trade_executions", "sub_account_id", "sub_accounts", "RESTRICT"),
    ("trade_executions", "position_id", "virtual_positions", "SET NULL"),
    ("balance_logs", "sub_account_id", "sub_accounts", "RESTRICT"),
)
CHANGING = frozenset({"sub_accounts", "virtual_positions"})
"""Rows that change often: their pages have room for new versions."""
_COMMENT = text("SELECT obj_description(to_regclass(:name), 'pg_class')")
_IS_THERE = text("SELECT to_regclass(:name) IS NOT NULL")


def upgrade() -> None:
    missing = [name for name in TABLES if not _ask(_IS_THERE, name=name)]
    for name in missing:
        room = " WITH (fillfactor = 70)" if name in CHANGING else ""
        op.execute(f"CREATE TABLE {name} ({TABLES[name]}, CONSTRAINT {name}_pkey PRIMARY KEY (id)){room}")
        op.execute(f"COMMENT ON TABLE {name} IS '{OURS}'")
    for name, column in UNIQUE:
        if name in missing:
            op.execute(f"CREATE UNIQUE INDEX {name}_{column}_key ON {name} ({column})")
    for name, *columns in INDEXES:
        if name in missing:
            op.execute(f"CREATE INDEX {name}_{'_'.join(columns)}_idx ON {name} ({', '.join(columns)})")
    for key in KEYS:
        if key[0] in missing:
            _add_key(*key)
    if "virtual_positions" in missing:
        op.execute(
            "CREATE INDEX idx_positions_open ON virtual_positions (sub_account_id, symbol) WHERE status = 'OPEN'"
        )
    if _ask(_COMMENT, name="pending_orders") == OURS:
        op.execute(
            "CREATE INDEX IF NOT EXISTS idx_orders_pending ON pending_orders (sub_account_id) WHERE status = 'PENDING'"
        )
        _bind_orders()
    _upgrade_own()


def _bind_orders() -> None:
    if _ask(text("SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'pending_orders_sub_account_id_fkey')")):
        return
    orphans = "SELECT EXISTS (SELECT FROM pending_orders WHERE sub_account_id NOT IN (SELECT id FROM sub_accounts))"
    _add_key("pending_orders", "sub_account_id", "sub_accounts", "RESTRICT", not_valid=_ask(text(orphans)))


def _upgrade_own() -> None:
    # exact: the balance as risk left it in sub_accounts, of which `balance` is what a double holds. found: the sum of
    # changes others made to it; cash: the books' cash it was written for. The rest: what both sides last agreed on, and
    # our own numbers exactly as they were then.
    op.execute(
        "CREATE TABLE pms_risk.administered ("
        " account_id text PRIMARY KEY, cash numeric NOT NULL DEFAULT 0, exact numeric NOT NULL DEFAULT 0,"
        " found numeric NOT NULL DEFAULT 0, balance double precision NOT NULL,"
        " name text NOT NULL, status text NOT NULL, liquidation_mode text NOT NULL,"
        " maintenance_rate double precision NOT NULL, max_leverage double precision NOT NULL,"
        " max_notional_per_trade double precision NOT NULL, max_total_exposure double precision NOT NULL,"
        " liquidation_threshold double precision NOT NULL, our_maintenance_rate numeric, our_max_leverage numeric,"
        " our_max_notional_per_trade numeric, our_max_total_exposure numeric, our_liquidation_threshold numeric"
        ") WITH (fillfactor = 70)"
    )
    op.execute("CREATE INDEX ledger_admin_set ON pms_risk.ledger (account_id) WHERE cause = 'admin_set'")
    # ended: CLOSED, LIQUIDATED or TAKEN_OVER
    op.execute("ALTER TABLE pms_risk.positions ADD COLUMN ended text")
    op.execute("UPDATE pms_risk.positions SET ended = 'CLOSED' WHERE closed_ms IS NOT NULL")
    # The JS application gives any names.
    op.execute("ALTER TABLE pms_risk.accounts DROP CONSTRAINT accounts_name_key")


def downgrade() -> None:
    op.execute(
        "UPDATE pms_risk.accounts AS a SET name = a.name || ' ' || a.id"
        " WHERE EXISTS (SELECT FROM pms_risk.accounts AS b WHERE b.name = a.name AND b.id < a.id)"
    )
    op.execute("ALTER TABLE pms_risk.accounts ADD CONSTRAINT accounts_name_key UNIQUE (name)")
    op.execute("ALTER TABLE pms_risk.positions DROP COLUMN ended")
    op.execute("DROP INDEX pms_risk.ledger_admin_set")
    op.execute("DROP TABLE pms_risk.administered")
    if _ask(_COMMENT, name="pending_orders") == OURS:
        op.execute("ALTER TABLE pending_orders DROP CONSTRAINT IF EXISTS pending_orders_sub_account_id_fkey")
        op.execute("DROP INDEX IF EXISTS idx_orders_pending")
    for name in reversed(TABLES):
        if _ask(_COMMENT, name=name) == OURS and not _ask(text(f"SELECT EXISTS (SELECT FROM {name})")):
            _drop_unless_needed(name)


def _drop_unless_needed(name: str) -> None:
    """What refers to it is the JS application's, or a table that stays because it has rows."""
    try:
        with op.get_bind().begin_nested():
            op.execute(f"DROP TABLE {name}")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != DEPENDENT_OBJECTS_STILL_EXIST:
            raise


def _ask(query: TextClause, **values: str) -> Any:
    return op.get_bind().execute(query, values).scalar()


def _add_key(table: str, column: str, other: str, on_delete: str, not_valid: bool = False) -> None:
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_fkey FOREIGN KEY ({column}) REFERENCES {other} (id)"
        f" ON DELETE {on_delete} ON UPDATE CASCADE" + (" NOT VALID" if not_valid else "")
    )
