"""Tables of the risk service: accounts, rules, positions, fills, the ledgers, trading states, cursors.

Amounts are exact (numeric without a scale). The ledgers are append-only: the database itself refuses to change them.
"""

from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE pms_risk.accounts (
      id text PRIMARY KEY, name text NOT NULL UNIQUE, status text NOT NULL, cash numeric NOT NULL,
      maintenance_rate numeric NOT NULL, liquidation_mode text NOT NULL,
      created_ms bigint NOT NULL, created_by text NOT NULL
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE pms_risk.rules (
      account_id text PRIMARY KEY REFERENCES pms_risk.accounts, max_leverage numeric NOT NULL,
      max_notional_per_trade numeric NOT NULL, max_total_exposure numeric NOT NULL,
      liquidation_threshold numeric NOT NULL, allowed_symbols text NOT NULL, max_open_orders integer NOT NULL
    )
    """,
    # owner: an account id or the house. cost: sum of signed quantity times price, so that entry = cost / quantity
    """
    CREATE TABLE pms_risk.positions (
      id text PRIMARY KEY, owner text NOT NULL, symbol text NOT NULL, leg text NOT NULL, leverage numeric NOT NULL,
      quantity numeric NOT NULL, cost numeric NOT NULL, realized numeric NOT NULL,
      opened_ms bigint NOT NULL, closed_ms bigint
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX positions_open ON pms_risk.positions (owner) WHERE closed_ms IS NULL",
    # profit: what the owner earned, net of commission; exchange_profit: what the exchange realised, before commission
    """
    CREATE TABLE pms_risk.fills (
      symbol text NOT NULL, trade_id bigint NOT NULL, exchange_order_id bigint NOT NULL,
      owner text NOT NULL, client_order_id text NOT NULL, side text NOT NULL, leg text NOT NULL,
      price numeric NOT NULL, quantity numeric NOT NULL, commission numeric NOT NULL, commission_asset text NOT NULL,
      exchange_profit numeric NOT NULL, profit numeric NOT NULL, excess numeric NOT NULL,
      trade_ms bigint NOT NULL, entry text NOT NULL,
      PRIMARY KEY (symbol, trade_id, exchange_order_id)
    )
    """,
    "CREATE INDEX fills_time ON pms_risk.fills (trade_ms DESC)",
    "CREATE INDEX fills_order ON pms_risk.fills (client_order_id)",
    """
    CREATE TABLE pms_risk.ledger (
      key text PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, account_id text NOT NULL, asset text NOT NULL,
      cause text NOT NULL, amount numeric NOT NULL, balance_before numeric NOT NULL, balance_after numeric NOT NULL,
      reference text NOT NULL, at_ms bigint NOT NULL, CHECK (balance_after - balance_before = amount)
    )
    """,
    "CREATE INDEX ledger_account ON pms_risk.ledger (account_id, n)",
    """
    CREATE TABLE pms_risk.house_ledger (
      key text NOT NULL, book text NOT NULL, n bigint GENERATED ALWAYS AS IDENTITY, asset text NOT NULL,
      cause text NOT NULL, amount numeric NOT NULL, balance_before numeric NOT NULL, balance_after numeric NOT NULL,
      reference text NOT NULL, at_ms bigint NOT NULL, PRIMARY KEY (key, book),
      CHECK (balance_after - balance_before = amount)
    )
    """,
    "CREATE INDEX house_ledger_book ON pms_risk.house_ledger (book, asset, n)",
    """
    CREATE TABLE pms_risk.gates (
      account_id text NOT NULL, symbol text NOT NULL, state text NOT NULL, PRIMARY KEY (account_id, symbol)
    )
    """,
    """
    CREATE TABLE pms_risk.cursors (
      reader text NOT NULL, stream text NOT NULL, entry text NOT NULL, PRIMARY KEY (reader, stream)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE FUNCTION pms_risk.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
    """,
)
APPEND_ONLY = ("ledger", "house_ledger", "fills")


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON pms_risk.{table} "
            "FOR EACH ROW EXECUTE FUNCTION pms_risk.refuse_change()"
        )


def downgrade() -> None:
    for table in ("cursors", "gates", "house_ledger", "ledger", "fills", "positions", "rules", "accounts"):
        op.execute(f"DROP TABLE pms_risk.{table}")
    op.execute("DROP FUNCTION pms_risk.refuse_change()")
