"""An account's history as the gateway shows it: ledger, trades, ended orders, daily statement; newest first, in pages.

Owns the form of items and pages. Read from PostgreSQL by the service that owns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pms_common.contracts.base import OrderState, OrderType, Origin, Side, Wire


class LedgerItem(Wire, frozen=True, kw_only=True):
    """One change of an account's cash; `reference` is the execution, request or payment that caused it."""

    id: str
    timestamp_ms: int
    cause: str
    asset: str
    amount: Decimal
    balance_before: Decimal
    balance_after: Decimal
    reference: str


class TradeItem(Wire, frozen=True, kw_only=True):
    """One execution of an account, or what it got or gave without one (`kind` takeover, liquidation).

    `realized_pnl` is net of the commission; of what is no execution the ledger tells it.
    """

    id: str
    timestamp_ms: int
    kind: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    client_order_id: str | None
    fee: Decimal | None
    fee_asset: str | None
    realized_pnl: Decimal | None


class ClosedOrder(Wire, frozen=True, kw_only=True):
    """An order that has ended."""

    client_order_id: str
    order_id: str
    exchange_order_id: str | None
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    filled_qty: Decimal
    avg_fill_price: Decimal | None
    state: OrderState
    reduce_only: bool
    origin: Origin
    parent_id: str | None
    error: str | None
    error_code: str | None
    created_at_ms: int
    ended_at_ms: int


class StatementDay(Wire, frozen=True, kw_only=True):
    """A UTC day: `closing_balance` = `opening_balance` + all that `changes` sums up by cause."""

    day: str
    opening_balance: Decimal
    closing_balance: Decimal
    changes: dict[str, Decimal]
    trades: int
    volume: Decimal


class Page(Wire, frozen=True, kw_only=True):
    """Items, and the cursor of the next, older page; null where there is none."""

    items: Sequence[LedgerItem | TradeItem | ClosedOrder | StatementDay]
    next: str | None
