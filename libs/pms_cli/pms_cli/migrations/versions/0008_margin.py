"""How an account's maintenance margin is reckoned: flat, or by the exchange's tiers."""

from alembic import op

revision = "0008"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE pms_risk.accounts ADD COLUMN maintenance_mode text NOT NULL DEFAULT 'flat'")


def downgrade() -> None:
    op.execute("ALTER TABLE pms_risk.accounts DROP COLUMN maintenance_mode")
