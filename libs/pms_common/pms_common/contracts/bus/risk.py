"""Messages to and from the risk service.

Owns: child orders asking for approval (algos → risk), refusals, account and trading state (risk → algos, gateway).
"""

from decimal import Decimal

import msgspec

from pms_common.contracts.bus.base import Message, Origin, Side, Update
from pms_common.contracts.bus.orders import OrderType, TimeInForce


class ChildOrder(Message, frozen=True, kw_only=True, tag="child"):
    """An algo's order that needs approval; the algo names it, so asking again is the same order.

    `lowest` and `highest` declare the prices the algo may move it to without a new approval
    (none declared: the first price ± 2 %). One that reduces at market is a close: other closers give way to it. An
    order may be placed with a part of its quantity: what is free of a close, in hedge mode what closes the other leg.
    """

    client_order_id: str
    account_id: str
    parent_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool = False
    leverage: Decimal
    origin: Origin
    lowest: Decimal | None = None
    highest: Decimal | None = None
    expires_at_ms: int | None = None
    traceparent: str = ""


class ChildAmend(Message, frozen=True, kw_only=True, tag="child_amend"):
    """An amend beyond the approved cap."""

    client_order_id: str
    account_id: str
    parent_id: str
    symbol: str
    price: Decimal
    quantity: Decimal


RiskWork = ChildOrder | ChildAmend
risk_work = msgspec.json.Decoder(RiskWork)


class ChildRefused(Update, frozen=True, kw_only=True, tag="refused"):
    """Risk refused a child order or an amend; nothing was sent."""

    client_order_id: str
    account_id: str
    parent_id: str
    amend: bool = False
    error_code: str
    error: str


class AccountState(Update, frozen=True, kw_only=True, tag="account"):
    """An account after a change: its public snapshot as in `pms:risk:*`, for the gateway's read model and algos."""

    account_id: str
    name: str
    status: str
    version: int
    snapshot: msgspec.Raw


class TradingState(Update, frozen=True, kw_only=True, tag="trading_state"):
    """Gate of an account and symbol; an empty string means all of them."""

    state: str
    account_id: str = ""
    symbol: str = ""
