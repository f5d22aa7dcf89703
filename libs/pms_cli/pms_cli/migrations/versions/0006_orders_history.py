"""The order service's history: every transition and every answer of the exchange, and when the journal took each.

History is append-only: the database refuses to change it, and to remove it outside of retention (`pms.retention`).
"""

from alembic import op

revision = "0006"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = ("transitions", "answers", "fills")


def upgrade() -> None:
    # One row a happening, with the order after it. epoch, n: the writer and the running number it gave, which is the
    # order in which things happened. event_ms: the clock of who told it (the exchange, where it did); journalled_ms:
    # this machine's.
    op.execute(
        "CREATE TABLE pms_orders.transitions ("
        " epoch bigint, n bigint, client_order_id text NOT NULL, cause text NOT NULL, key text NOT NULL,"
        " status text NOT NULL, version integer NOT NULL, exchange_order_id bigint, price numeric,"
        " quantity numeric NOT NULL, executed_quantity numeric NOT NULL, average_price numeric,"
        " terms_ms bigint NOT NULL, sent_ms bigint NOT NULL, updated_ms bigint NOT NULL, error_code text, error text,"
        " event_ms bigint NOT NULL, journalled_ms bigint NOT NULL, reason text, PRIMARY KEY (epoch, n))"
    )
    op.execute("CREATE INDEX transitions_order ON pms_orders.transitions (client_order_id)")
    op.execute("CREATE INDEX transitions_journalled ON pms_orders.transitions USING brin (journalled_ms)")
    # outcome: accepted, lost (nobody answered), or the class of the error
    op.execute(
        "CREATE TABLE pms_orders.answers ("
        " epoch bigint, n bigint, client_order_id text NOT NULL, operation text NOT NULL, sent_ms bigint NOT NULL,"
        " exchange_order_id bigint, outcome text NOT NULL, status integer, code integer, message text,"
        " journalled_ms bigint NOT NULL, PRIMARY KEY (epoch, n))"
    )
    op.execute("CREATE INDEX answers_order ON pms_orders.answers (client_order_id)")
    # What is there already has only the exchange's time.
    op.execute("ALTER TABLE pms_orders.fills ADD COLUMN epoch bigint, ADD COLUMN journalled_ms bigint")
    op.execute("UPDATE pms_orders.fills SET epoch = 0, journalled_ms = trade_ms")
    op.execute("ALTER TABLE pms_orders.fills ALTER COLUMN epoch SET NOT NULL, ALTER COLUMN journalled_ms SET NOT NULL")
    op.execute("DROP INDEX pms_orders.fills_time")
    op.execute("CREATE INDEX fills_journalled ON pms_orders.fills (journalled_ms, symbol, trade_id, exchange_order_id)")
    op.execute(
        "CREATE FUNCTION pms_orders.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF TG_OP = 'DELETE' AND current_setting('pms.retention', true) = 'on' THEN RETURN NULL; END IF;"
        " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON pms_orders.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION pms_orders.refuse_change()"
        )


def downgrade() -> None:
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER append_only ON pms_orders.{table}")
    op.execute("DROP FUNCTION pms_orders.refuse_change()")
    op.execute("DROP INDEX pms_orders.fills_journalled")
    op.execute("CREATE INDEX fills_time ON pms_orders.fills (trade_ms, symbol, trade_id, exchange_order_id)")
    op.execute("ALTER TABLE pms_orders.fills DROP COLUMN epoch, DROP COLUMN journalled_ms")
    op.execute("DROP TABLE pms_orders.answers")
    op.execute("DROP TABLE pms_orders.transitions")
