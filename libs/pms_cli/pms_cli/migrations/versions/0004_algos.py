"""The algos' table: what of an algo cannot be derived again, and how far the streams are read."""

from alembic import op

revision = "0004"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # state: the plan's own form (pms_algos.domain.chase_state and its like), read by the service alone.
    # version: rises with every save, so a late save cannot revive what has ended.
    op.execute(
        "CREATE TABLE pms_algos.algos ("
        " algo_id text PRIMARY KEY,"
        " kind text NOT NULL,"
        " account_id text NOT NULL,"
        " symbol text NOT NULL,"
        " version bigint NOT NULL,"
        " outcome text,"
        " state jsonb NOT NULL,"
        " created_at timestamptz NOT NULL DEFAULT now(),"
        " updated_at timestamptz NOT NULL DEFAULT now()"
        ") WITH (fillfactor = 70)"
    )
    op.execute("CREATE INDEX algos_running ON pms_algos.algos (algo_id) WHERE outcome IS NULL")
    op.execute("CREATE INDEX algos_ended ON pms_algos.algos (updated_at) WHERE outcome IS NOT NULL")
    op.execute(
        "CREATE TABLE pms_algos.cursors ("
        " group_name text, stream text, cursor text NOT NULL, PRIMARY KEY (group_name, stream)"
        ") WITH (fillfactor = 50)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE pms_algos.cursors")
    op.execute("DROP TABLE pms_algos.algos")
