"""The gateway's table: how far it has read, and how far it has written the event log."""

from alembic import op

revision = "0005"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE pms_gateway.cursors ("
        " group_name text, stream text, cursor text NOT NULL, PRIMARY KEY (group_name, stream)"
        ") WITH (fillfactor = 50)"  # each row changes once a second
    )


def downgrade() -> None:
    op.execute("DROP TABLE pms_gateway.cursors")
