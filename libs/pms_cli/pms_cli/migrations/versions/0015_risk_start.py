"""Indexes by which a start of risk reads the last entries of its ledgers, however long they are."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEXES = {
    # entries come in about the order of their times: a few pages for a ledger of years, and nearly nothing to write
    "pms_risk.ledger_time": "pms_risk.ledger USING brin (at_ms)",
    "pms_risk.house_ledger_opening": "pms_risk.house_ledger (at_ms) WHERE cause = 'opening_wallet'",
}


def upgrade() -> None:
    for name, what in INDEXES.items():
        op.execute(f"CREATE INDEX {name.split('.')[1]} ON {what}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
