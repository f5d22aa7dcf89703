"""Rows of the JS application's history that its tables did not take, kept for another try."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE pms_risk.left_out (id text PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY,"
        " name text NOT NULL, row jsonb NOT NULL, reason text NOT NULL, tries integer NOT NULL DEFAULT 1,"
        " tried_at timestamptz NOT NULL DEFAULT now())"
    )


def downgrade() -> None:
    op.execute("DROP TABLE pms_risk.left_out")
