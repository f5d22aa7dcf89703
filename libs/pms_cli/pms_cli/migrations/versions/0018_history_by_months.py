"""Transitions and answers by months of the journal's time, so that an old one is dropped and not deleted row by row.

What is there becomes the first partition, as it is: nothing is copied, and the journal waits for a rename only. Each
partition has the primary key (epoch, n) for itself; what is unique for ever, the executions, stays in one table
(docs/adr/0007-history-by-months.md).
"""

from alembic import op
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

HISTORIES = ("transitions", "answers")

# Of these two only: the functions act as the role that migrates, and a service may make tables of its own beside them.
MONTHS = r"""
    CREATE VIEW pms_orders.months AS
    SELECT history, part, until_ms, until_ms = max(until_ms) OVER (PARTITION BY history) AS newest
    FROM (
      SELECT parent.relname AS history, part.relname AS part,
        substring(pg_get_expr(part.relpartbound, part.oid) FROM $r$TO \('?(\d+)'?\)$r$)::bigint AS until_ms
      FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
      WHERE parent.oid IN ('pms_orders.transitions'::regclass, 'pms_orders.answers'::regclass)
    ) AS parts WHERE until_ms IS NOT NULL
"""
# What lies in …_other belongs to a month that was made too late. Locked from the start, so that no row comes meanwhile.
OPEN_MONTH = """
    CREATE FUNCTION pms_orders.open_month(wanted text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '500ms' AS $$
    DECLARE
      from_ms bigint := (SELECT until_ms FROM pms_orders.months WHERE history = wanted AND newest);
      month timestamp := to_timestamp(from_ms / 1000) AT TIME ZONE 'UTC';
      until_ms bigint := extract(epoch FROM month + interval '1 month')::bigint * 1000;
      made text := wanted || to_char(month, '_YYYY_MM');
      other text := wanted || '_other';
    BEGIN
      EXECUTE format('LOCK TABLE pms_orders.%I IN ACCESS EXCLUSIVE MODE', other);
      EXECUTE format('CREATE TABLE pms_orders.%I (LIKE pms_orders.%I INCLUDING ALL, PRIMARY KEY (epoch, n))',
        made, wanted);
      PERFORM set_config('pms.retention', 'on', true);
      EXECUTE format('WITH moved AS (DELETE FROM pms_orders.%I WHERE journalled_ms >= %s AND journalled_ms < %s'
        ' RETURNING *) INSERT INTO pms_orders.%I SELECT * FROM moved', other, from_ms, until_ms, made);
      PERFORM set_config('pms.retention', 'off', true);
      EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON pms_orders.%I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION pms_orders.refuse_change()', made);
      EXECUTE format('ALTER TABLE pms_orders.%I ATTACH PARTITION pms_orders.%I FOR VALUES FROM (%s) TO (%s)',
        wanted, made, from_ms, until_ms);
      RETURN made;
    END $$
"""
# An order's history begins with it: what ended before no order that is kept was made goes. A day for clocks.
DROP_MONTH = """
    CREATE FUNCTION pms_orders.drop_month(wanted text, before_ms bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '500ms' AS $$
    DECLARE
      oldest record;
    BEGIN
      SELECT part, until_ms INTO oldest FROM pms_orders.months WHERE history = wanted AND NOT newest
        ORDER BY until_ms LIMIT 1;
      IF oldest IS NULL OR oldest.until_ms > before_ms
        OR EXISTS (SELECT FROM pms_orders.orders WHERE created_ms < oldest.until_ms + 86400000) THEN
        RETURN NULL;
      END IF;
      EXECUTE format('DROP TABLE pms_orders.%I', oldest.part);
      RETURN oldest.part;
    END $$
"""


def upgrade() -> None:
    try:
        _divide(_month_after_next())
    except DBAPIError:
        with op.get_bind().engine.begin() as beside:  # our own transaction has failed, and holds no lock any more
            beside.execute(text("SET LOCAL lock_timeout = '1500ms'"))
            for (
                table
            ) in HISTORIES:  # from its month on, the check of a migration that was given up would stop the journal
                beside.execute(text(f"ALTER TABLE pms_orders.{table} DROP CONSTRAINT IF EXISTS before_months"))
        raise


def _divide(month_ms: int) -> None:
    for table in HISTORIES:
        with op.get_context().autocommit_block():  # the check reads all of the table, and nobody waits for it
            op.execute(
                f"ALTER TABLE pms_orders.{table} DROP CONSTRAINT IF EXISTS before_months,"
                f" ADD CONSTRAINT before_months CHECK (journalled_ms < {month_ms}) NOT VALID"
            )
            op.execute(f"ALTER TABLE pms_orders.{table} VALIDATE CONSTRAINT before_months")
    for table in HISTORIES:
        _partition(table, month_ms)
    for made in (MONTHS, OPEN_MONTH, DROP_MONTH):
        op.execute(made)


def _month_after_next() -> int:
    """Late enough that no writer's clock and no long check comes near it."""
    month = "date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months'"
    found: int = op.get_bind().exec_driver_sql(f"SELECT extract(epoch FROM {month})::bigint * 1000").scalar_one()
    return found


def _partition(table: str, month_ms: int) -> None:
    first, other = f"{table}_first", f"{table}_other"
    op.execute(f"ALTER TABLE pms_orders.{table} RENAME TO {first}")
    for index in ("pkey", "order", "journalled"):
        op.execute(f"ALTER INDEX IF EXISTS pms_orders.{table}_{index} RENAME TO {first}_{index}")
    op.execute(f"CREATE TABLE pms_orders.{table} (LIKE pms_orders.{first}) PARTITION BY RANGE (journalled_ms)")
    op.execute(f"CREATE INDEX {table}_order ON pms_orders.{table} (client_order_id)")
    if table == "transitions":
        op.execute("CREATE INDEX transitions_journalled ON pms_orders.transitions USING brin (journalled_ms)")
    op.execute(
        f"ALTER TABLE pms_orders.{table} ATTACH PARTITION pms_orders.{first} FOR VALUES FROM (MINVALUE) TO ({month_ms})"
    )
    op.execute(f"ALTER TABLE pms_orders.{first} DROP CONSTRAINT before_months")
    op.execute(f"CREATE TABLE pms_orders.{other} (LIKE pms_orders.{table} INCLUDING ALL, PRIMARY KEY (epoch, n))")
    op.execute(f"ALTER TABLE pms_orders.{table} ATTACH PARTITION pms_orders.{other} DEFAULT")
    for made in (table, other):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON pms_orders.{made}"
            " FOR EACH STATEMENT EXECUTE FUNCTION pms_orders.refuse_change()"
        )
    _grant_alike(table, first)


def _grant_alike(table: str, first: str) -> None:
    """A running service keeps its rights: `deploy/postgres/roles.sql` comes later."""
    op.execute(
        f"DO $$ DECLARE given record; BEGIN FOR given IN SELECT grantee::regrole AS who, privilege_type AS what"
        f" FROM pg_class, aclexplode(relacl) WHERE oid = 'pms_orders.{first}'::regclass AND grantee <> 0 LOOP"
        f" EXECUTE format('GRANT %s ON pms_orders.{table} TO %s', given.what, given.who); END LOOP; END $$"
    )


def downgrade() -> None:
    for made in ("FUNCTION pms_orders.drop_month", "FUNCTION pms_orders.open_month", "VIEW pms_orders.months"):
        op.execute(f"DROP {made}")
    for table in HISTORIES:
        op.execute(f"ALTER TABLE pms_orders.{table} RENAME TO {table}_parts")
        op.execute(f"CREATE TABLE pms_orders.{table} (LIKE pms_orders.{table}_parts, PRIMARY KEY (epoch, n))")
        op.execute(f"INSERT INTO pms_orders.{table} SELECT * FROM pms_orders.{table}_parts")
        _grant_alike(table, f"{table}_parts")
        op.execute(f"DROP TABLE pms_orders.{table}_parts CASCADE")
        op.execute(f"CREATE INDEX {table}_order ON pms_orders.{table} (client_order_id)")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON pms_orders.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION pms_orders.refuse_change()"
        )
    op.execute("CREATE INDEX transitions_journalled ON pms_orders.transitions USING brin (journalled_ms)")
