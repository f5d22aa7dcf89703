"""Isolated margin: what is assigned to a position, and whether an account's new positions are isolated."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE pms_risk.accounts ADD COLUMN margin_mode text NOT NULL DEFAULT 'cross'")
    op.execute("ALTER TABLE pms_risk.positions ADD COLUMN isolated numeric")


def downgrade() -> None:
    op.execute("ALTER TABLE pms_risk.positions DROP COLUMN isolated")
    op.execute("ALTER TABLE pms_risk.accounts DROP COLUMN margin_mode")
