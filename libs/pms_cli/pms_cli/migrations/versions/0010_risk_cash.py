"""Cash flows and forced closes in risk's books: moves that no row of `fills` tells, fundings, the income list."""

from alembic import op

revision = "0010"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = (
    # what an owner got by a takeover, or as its part of an execution that several share (fills.owner is 'pool')
    """
    CREATE TABLE pms_risk.moves (
      reference text NOT NULL, owner text NOT NULL, symbol text NOT NULL, leg text NOT NULL,
      quantity numeric NOT NULL, price numeric NOT NULL, at_ms bigint NOT NULL, liquidation boolean NOT NULL,
      PRIMARY KEY (reference, owner)
    )
    """,
    "CREATE INDEX moves_time ON pms_risk.moves (at_ms DESC)",
    # settlements that anybody had a part of
    """
    CREATE TABLE pms_risk.fundings (
      symbol text NOT NULL, at_ms bigint NOT NULL, rate numeric NOT NULL, mark numeric NOT NULL,
      PRIMARY KEY (symbol, at_ms)
    )
    """,
    "CREATE INDEX fundings_time ON pms_risk.fundings (at_ms DESC)",
    """
    CREATE TABLE pms_risk.flows (
      kind text NOT NULL, flow_id bigint NOT NULL, asset text NOT NULL, symbol text NOT NULL, amount numeric NOT NULL,
      info text NOT NULL, at_ms bigint NOT NULL, PRIMARY KEY (kind, flow_id, asset, symbol)
    )
    """,
    "CREATE INDEX flows_time ON pms_risk.flows (at_ms DESC)",
)
NAMES = ("moves", "fundings", "flows")


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for table in NAMES:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON pms_risk.{table} "
            "FOR EACH ROW EXECUTE FUNCTION pms_risk.refuse_change()"
        )


def downgrade() -> None:
    for table in NAMES:
        op.execute(f"DROP TABLE pms_risk.{table}")
