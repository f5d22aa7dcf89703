"""The bulk statements of risk's journal, in the order in which a transaction runs them.

Ledgers, fills, moves, fundings and cash flows have unique keys: booking the same twice is an error of the program and
stops it, except for fills and flows, whose key is the last line of defence and whose repeat is dropped before it gets
here.
"""

from pms_common.db import Statement

ACCOUNT = Statement(
    "INSERT INTO pms_risk.accounts (id, name, status, cash, maintenance_rate, maintenance_mode, liquidation_mode,"
    " margin_mode, created_ms, created_by) SELECT id, name, status, cash, maintenance_rate, maintenance_mode,"
    " liquidation_mode, margin_mode, created_ms, created_by FROM :rows"
    " ON CONFLICT (id) DO UPDATE SET name = excluded.name, status = excluded.status, cash = excluded.cash,"
    " maintenance_rate = excluded.maintenance_rate, maintenance_mode = excluded.maintenance_mode,"
    " liquidation_mode = excluded.liquidation_mode, margin_mode = excluded.margin_mode",
    {
        "id": "text",
        "name": "text",
        "status": "text",
        "cash": "numeric",
        "maintenance_rate": "numeric",
        "maintenance_mode": "text",
        "liquidation_mode": "text",
        "margin_mode": "text",
        "created_ms": "bigint",
        "created_by": "text",
    },
    latest_by=("id",),
)
RULES = Statement(
    "INSERT INTO pms_risk.rules (account_id, max_leverage, max_notional_per_trade, max_total_exposure,"
    " liquidation_threshold, allowed_symbols, max_open_orders, max_daily_loss, max_orders_per_minute)"
    " SELECT account_id, max_leverage, max_notional_per_trade, max_total_exposure, liquidation_threshold,"
    " allowed_symbols, max_open_orders, max_daily_loss, max_orders_per_minute FROM :rows"
    " ON CONFLICT (account_id) DO UPDATE SET max_leverage = excluded.max_leverage,"
    " max_notional_per_trade = excluded.max_notional_per_trade, max_total_exposure = excluded.max_total_exposure,"
    " liquidation_threshold = excluded.liquidation_threshold, allowed_symbols = excluded.allowed_symbols,"
    " max_open_orders = excluded.max_open_orders, max_daily_loss = excluded.max_daily_loss,"
    " max_orders_per_minute = excluded.max_orders_per_minute",
    {
        "account_id": "text",
        "max_leverage": "numeric",
        "max_notional_per_trade": "numeric",
        "max_total_exposure": "numeric",
        "liquidation_threshold": "numeric",
        "allowed_symbols": "text",
        "max_open_orders": "integer",
        "max_daily_loss": "numeric",
        "max_orders_per_minute": "integer",
    },
    latest_by=("account_id",),
)
POSITION = Statement(
    "INSERT INTO pms_risk.positions (id, owner, symbol, leg, leverage, quantity, cost, realized, isolated, opened_ms,"
    " closed_ms, ended) SELECT id, owner, symbol, leg, leverage, quantity, cost, realized, isolated, opened_ms,"
    " closed_ms, ended FROM :rows"
    " ON CONFLICT (id) DO UPDATE SET leverage = excluded.leverage, quantity = excluded.quantity,"
    " cost = excluded.cost, realized = excluded.realized, isolated = excluded.isolated,"
    " closed_ms = excluded.closed_ms, ended = excluded.ended",
    {
        "id": "text",
        "owner": "text",
        "symbol": "text",
        "leg": "text",
        "leverage": "numeric",
        "quantity": "numeric",
        "cost": "numeric",
        "realized": "numeric",
        "isolated": "numeric",
        "opened_ms": "bigint",
        "closed_ms": "bigint",
        "ended": "text",
    },
    latest_by=("id",),
)
FILL = Statement(
    "INSERT INTO pms_risk.fills SELECT * FROM :rows",
    {
        "symbol": "text",
        "trade_id": "bigint",
        "exchange_order_id": "bigint",
        "owner": "text",
        "client_order_id": "text",
        "side": "text",
        "leg": "text",
        "price": "numeric",
        "quantity": "numeric",
        "commission": "numeric",
        "commission_asset": "text",
        "exchange_profit": "numeric",
        "profit": "numeric",
        "excess": "numeric",
        "trade_ms": "bigint",
        "entry": "text",
    },
)
_ENTRY = {
    "key": "text",
    "holder": "text",
    "asset": "text",
    "cause": "text",
    "amount": "numeric",
    "balance_before": "numeric",
    "balance_after": "numeric",
    "reference": "text",
    "at_ms": "bigint",
}
LEDGER = Statement(
    "INSERT INTO pms_risk.ledger (key, account_id, asset, cause, amount, balance_before, balance_after, reference,"
    " at_ms) SELECT * FROM :rows",
    _ENTRY,
)
HOUSE_LEDGER = Statement(
    "INSERT INTO pms_risk.house_ledger (key, book, asset, cause, amount, balance_before, balance_after, reference,"
    " at_ms) SELECT * FROM :rows",
    _ENTRY,
)
MOVE = Statement(
    "INSERT INTO pms_risk.moves SELECT * FROM :rows",
    {
        "reference": "text",
        "owner": "text",
        "symbol": "text",
        "leg": "text",
        "quantity": "numeric",
        "price": "numeric",
        "at_ms": "bigint",
        "liquidation": "boolean",
    },
)
FUNDING = Statement(
    "INSERT INTO pms_risk.fundings SELECT * FROM :rows",
    {"symbol": "text", "at_ms": "bigint", "rate": "numeric", "mark": "numeric"},
)
FLOW = Statement(
    "INSERT INTO pms_risk.flows SELECT * FROM :rows",
    {
        "kind": "text",
        "flow_id": "bigint",
        "asset": "text",
        "symbol": "text",
        "amount": "numeric",
        "info": "text",
        "at_ms": "bigint",
    },
)
GATE = Statement(
    "INSERT INTO pms_risk.gates (account_id, symbol, state) SELECT account_id, symbol, state FROM :rows"
    " ON CONFLICT (account_id, symbol) DO UPDATE SET state = excluded.state",
    {"account_id": "text", "symbol": "text", "state": "text"},
    latest_by=("account_id", "symbol"),
)
FORGOTTEN = Statement(
    "DELETE FROM pms_risk.administered AS w USING :rows WHERE w.account_id = r.account_id", {"account_id": "text"}
)
CURSOR = Statement(
    "INSERT INTO pms_risk.cursors (reader, stream, entry) SELECT reader, stream, entry FROM :rows"
    " ON CONFLICT (reader, stream) DO UPDATE SET entry = excluded.entry",
    {"reader": "text", "stream": "text", "entry": "text"},
    latest_by=("reader", "stream"),
)
LEFT_OUT = Statement(
    "INSERT INTO pms_risk.left_out (id, name, row, reason) SELECT md5(name || row), name, row::jsonb, reason FROM :rows"
    " ON CONFLICT (id) DO NOTHING",
    {"name": "text", "row": "text", "reason": "text"},
)
"""Rows that a table of the JS application did not take: written within its statement, never added."""
LIQUIDATION = Statement(
    "INSERT INTO pms_risk.liquidations (id, account_id, at_ms, kind, decision, facts)"
    " SELECT id, account_id, at_ms, kind, decision::jsonb, facts::jsonb FROM :rows"
    " ON CONFLICT (id) DO NOTHING",
    {"id": "text", "account_id": "text", "at_ms": "bigint", "kind": "text", "decision": "text", "facts": "text"},
)
ALL = (ACCOUNT, RULES, POSITION, FILL, MOVE, FUNDING, FLOW, LEDGER, HOUSE_LEDGER, GATE, LIQUIDATION, FORGOTTEN, CURSOR)
