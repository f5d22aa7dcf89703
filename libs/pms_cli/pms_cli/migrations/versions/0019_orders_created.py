"""An index by which the oldest order is found: whether a month of history may go is asked every ten minutes.

Without it the answer is a read of all of `orders`, and beyond some 10⁷ of them none within a statement's time.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS pms_orders.orders_created")  # what a given-up try left is invalid
        op.execute("CREATE INDEX CONCURRENTLY orders_created ON pms_orders.orders (created_ms)")


def downgrade() -> None:
    op.execute("DROP INDEX pms_orders.orders_created")
