"""Indexes by which an account's history is read in pages."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEXES = {
    "pms_risk.fills_owner": "pms_risk.fills (owner, trade_ms)",
    "pms_risk.moves_owner": "pms_risk.moves (owner, at_ms)",
    # an order comes into it once, when it ends
    "pms_orders.orders_ended": "pms_orders.orders (account_id, updated_ms, client_order_id)"
    " WHERE status IN ('filled', 'cancelled', 'expired', 'rejected', 'failed')",
}


def upgrade() -> None:
    for name, what in INDEXES.items():
        op.execute(f"CREATE INDEX {name.split('.')[1]} ON {what}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
