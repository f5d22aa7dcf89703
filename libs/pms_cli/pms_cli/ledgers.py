"""Risk's ledgers against themselves: every balance is the sum of its entries, every position that of its executions.

Owns the queries; changes nothing. Used by `pms replay` and by the tests of whole systems.
"""

from pms_common.db import connect

_CHECKS = {
    "an entry does not begin where the one before it ended": """
        SELECT account_id || ' ' || key AS what FROM (
          SELECT account_id, key, balance_before,
            lag(balance_after, 1, 0::numeric) OVER (PARTITION BY account_id, asset ORDER BY n) AS due
          FROM pms_risk.ledger
        ) AS entries WHERE balance_before <> due
    """,
    "an entry of the house does not begin where the one before it ended": """
        SELECT book || ' ' || key AS what FROM (
          SELECT book, key, balance_before,
            lag(balance_after, 1, 0::numeric) OVER (PARTITION BY book, asset ORDER BY n) AS due
          FROM pms_risk.house_ledger
        ) AS entries WHERE balance_before <> due
    """,
    "an account's cash is not the sum of its entries": """
        SELECT id AS what FROM pms_risk.accounts
        LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM pms_risk.ledger GROUP BY account_id) AS sums
          ON sums.account_id = id
        WHERE cash <> coalesce(amount, 0)
    """,
    "a position is not the sum of its account's executions and takeovers": """
        WITH moved AS (
          SELECT owner, symbol, leg, CASE side WHEN 'BUY' THEN 1 ELSE -1 END * (quantity - excess) AS quantity
          FROM pms_risk.fills WHERE owner <> 'pool'
          UNION ALL SELECT owner, symbol, leg, quantity FROM pms_risk.moves
        ), sums AS (SELECT owner, symbol, leg, sum(quantity) AS quantity FROM moved GROUP BY owner, symbol, leg),
        held AS (
          SELECT owner, symbol, leg, sum(quantity) AS quantity FROM pms_risk.positions
          WHERE closed_ms IS NULL GROUP BY owner, symbol, leg
        )
        SELECT owner || ' ' || symbol || ' ' || leg AS what
        FROM sums FULL JOIN held USING (owner, symbol, leg)
        WHERE coalesce(sums.quantity, 0) <> coalesce(held.quantity, 0) AND owner <> 'house'
    """,
    "a cash flow is in no ledger": """
        SELECT kind || ':' || flow_id || ':' || asset || ':' || symbol AS what FROM pms_risk.flows AS f
        WHERE amount <> 0 AND amount <> (
          SELECT coalesce(sum(amount), 0) FROM (
            SELECT amount, asset FROM pms_risk.house_ledger
            WHERE reference = 'flow:' || f.kind || ':' || f.flow_id || ':' || f.asset || ':' || f.symbol
              AND cause <> 'bad_debt'
            UNION ALL SELECT amount, asset FROM pms_risk.ledger
            WHERE reference LIKE 'flow:' || f.kind || ':' || f.flow_id || ':' || f.asset || ':' || f.symbol || ':%'
              AND cause <> 'bad_debt'
          ) AS entries WHERE entries.asset = f.asset
        )
    """,
}
"""What would be wrong, and the rows where it is. The house's positions may have been found at the first look."""


async def check_ledgers(database: str) -> list[str]:
    """What does not add up, a line each."""
    connection = await connect(database, "ledgers")
    try:
        found = []
        for wrong, query in _CHECKS.items():
            found += [f"{row['what']}: {wrong}" for row in await connection.fetch(query)]
        return found
    finally:
        await connection.close()
