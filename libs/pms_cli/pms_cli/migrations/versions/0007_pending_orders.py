"""`pending_orders` of the JS application: made where it is not there, otherwise left as it is.

The columns are those its Prisma schema defines (newest generation); the order service writes whichever of them exist.
"""

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OURS = "made by pms"
_IS_OURS = text("SELECT obj_description(to_regclass('pending_orders'), 'pg_class') = :ours")


def upgrade() -> None:
    if op.get_bind().execute(text("SELECT to_regclass('pending_orders')")).scalar() is not None:
        return
    op.execute(
        "CREATE TABLE pending_orders ("
        " id text NOT NULL CONSTRAINT pending_orders_pkey PRIMARY KEY, sub_account_id text NOT NULL,"
        " symbol text NOT NULL, side text NOT NULL, type text NOT NULL DEFAULT 'LIMIT',"
        " price double precision NOT NULL, quantity double precision NOT NULL, leverage double precision NOT NULL,"
        " exchange_order_id text, status text NOT NULL DEFAULT 'PENDING', client_order_id text,"
        " origin text NOT NULL DEFAULT 'MANUAL', parent_id text,"
        " created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, filled_at timestamp(3),"
        " cancelled_at timestamp(3))"
    )
    op.execute(f"COMMENT ON TABLE pending_orders IS '{OURS}'")
    for columns in (("exchange_order_id",), ("status", "type"), ("sub_account_id", "status"), ("client_order_id",)):
        name = f"pending_orders_{'_'.join(columns)}_idx"
        op.execute(f"CREATE INDEX {name} ON pending_orders ({', '.join(columns)})")
    op.execute("CREATE UNIQUE INDEX pending_orders_client_order_id_key ON pending_orders (client_order_id)")


def downgrade() -> None:
    if op.get_bind().execute(_IS_OURS, {"ours": OURS}).scalar():
        op.execute("DROP TABLE pending_orders")
