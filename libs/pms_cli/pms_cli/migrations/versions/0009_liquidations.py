"""Decisions to liquidate, each with all it was made from: append-only, so that they can be replayed."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pms_risk.liquidations (
          id text PRIMARY KEY, account_id text NOT NULL, at_ms bigint NOT NULL, kind text NOT NULL,
          decision jsonb NOT NULL, facts jsonb NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX liquidations_account ON pms_risk.liquidations (account_id, at_ms)")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON pms_risk.liquidations "
        "FOR EACH ROW EXECUTE FUNCTION pms_risk.refuse_change()"
    )


def downgrade() -> None:
    op.execute("DROP TABLE pms_risk.liquidations")
