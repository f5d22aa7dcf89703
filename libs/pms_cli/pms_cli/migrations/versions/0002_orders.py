"""What the order service keeps: orders, fills, gates, bus cursors."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # place: the approved order as it came, so that an order can be restored whole. Times are epoch milliseconds.
    op.execute(
        "CREATE TABLE pms_orders.orders ("
        " client_order_id text PRIMARY KEY, account_id text NOT NULL, symbol text NOT NULL, place json NOT NULL,"
        " created_ms bigint NOT NULL, status text NOT NULL, version integer NOT NULL, exchange_order_id bigint,"
        " price numeric, quantity numeric NOT NULL, executed_quantity numeric NOT NULL, average_price numeric,"
        " terms_ms bigint NOT NULL, sent_ms bigint NOT NULL, updated_ms bigint NOT NULL, error_code text, error text"
        ") WITH (fillfactor = 70)"
    )
    op.execute(
        "CREATE INDEX orders_live ON pms_orders.orders (client_order_id)"
        " WHERE status NOT IN ('filled', 'cancelled', 'expired', 'rejected', 'failed')"
    )
    op.execute("CREATE INDEX orders_updated ON pms_orders.orders (updated_ms)")
    op.execute("CREATE INDEX orders_exchange_id ON pms_orders.orders (exchange_order_id)")
    # Both sides of a self-match share one trade id, so the order belongs to the key.
    op.execute(
        "CREATE TABLE pms_orders.fills ("
        " symbol text, trade_id bigint, exchange_order_id bigint, client_order_id text NOT NULL,"
        " account_id text NOT NULL, side text NOT NULL, price numeric NOT NULL, quantity numeric NOT NULL,"
        " commission numeric NOT NULL, commission_asset text NOT NULL, realized_pnl numeric NOT NULL,"
        " maker boolean NOT NULL, trade_ms bigint NOT NULL,"
        " PRIMARY KEY (symbol, trade_id, exchange_order_id))"
    )
    op.execute("CREATE INDEX fills_order ON pms_orders.fills (client_order_id)")
    op.execute("CREATE INDEX fills_time ON pms_orders.fills (trade_ms, symbol, trade_id, exchange_order_id)")
    op.execute(
        "CREATE TABLE pms_orders.gates ("
        " account_id text, symbol text, state text NOT NULL, PRIMARY KEY (account_id, symbol))"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS pms_orders.cursors ("
        " group_name text, stream text, cursor text NOT NULL, PRIMARY KEY (group_name, stream))"
    )


def downgrade() -> None:
    for table in ("cursors", "gates", "fills", "orders"):
        op.execute(f"DROP TABLE pms_orders.{table}")
