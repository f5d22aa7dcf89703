"""Schemas, one a service owns, and the writers' epochs."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMAS = ("pms_orders", "pms_risk", "pms_algos", "pms_gateway")


def upgrade() -> None:
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA {schema}")
    # batch: number of the last journal batch of this epoch (pms_common.db.group_commit). The row changes with every
    # commit, so its page has room for new versions of it.
    op.execute(
        "CREATE TABLE pms_meta.epochs ("
        " service text PRIMARY KEY, epoch bigint NOT NULL, batch bigint NOT NULL DEFAULT 0"
        ") WITH (fillfactor = 10)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE pms_meta.epochs")
    for schema in SCHEMAS:
        op.execute(f"DROP SCHEMA {schema} CASCADE")
