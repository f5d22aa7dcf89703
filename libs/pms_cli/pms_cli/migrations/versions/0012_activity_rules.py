"""Limits of an account's loss a day and orders a minute; 0 means none."""

from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE pms_risk.rules ADD COLUMN max_daily_loss numeric NOT NULL DEFAULT 0,"
        " ADD COLUMN max_orders_per_minute integer NOT NULL DEFAULT 0"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE pms_risk.rules DROP COLUMN max_daily_loss, DROP COLUMN max_orders_per_minute")
