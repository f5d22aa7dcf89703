"""What the GET routes answer with, where it is more than a message of the contract: as classes, for the documents.

Accounts, positions and algos are shown as their owners wrote them with a field or two put first; these classes tell the
sum. Used by `reads` and `openapi`.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.account import AccountStatus, RiskOrder, RiskPosition, RiskSnapshot
from pms_common.contracts.base import TradingState, Wire
from pms_common.contracts.bus.heartbeat import Heartbeat
from pms_common.contracts.history import ClosedOrder, LedgerItem, StatementDay, TradeItem


class OrderItem(RiskOrder, frozen=True, kw_only=True):
    """A live order of any account."""

    sub_account_id: str
    avg_fill_price: Decimal | None
    updated_at_ms: int = msgspec.field(name="updatedAt")


class OrderList(Wire, frozen=True, kw_only=True):
    """Live orders, oldest first."""

    orders: tuple[OrderItem, ...]


class PositionItem(RiskPosition, frozen=True, kw_only=True):
    """An open position of any account."""

    sub_account_id: str


class PositionList(Wire, frozen=True, kw_only=True):
    """Open positions."""

    positions: tuple[PositionItem, ...]


class AccountItem(RiskSnapshot, frozen=True, kw_only=True):
    """An account: what `pms:risk:*` holds, with its name."""

    id: str
    name: str
    account_status: AccountStatus


class AccountList(Wire, frozen=True, kw_only=True):
    """All accounts, by name."""

    accounts: tuple[AccountItem, ...]


class RunningAlgo(Wire, frozen=True, kw_only=True):
    """A running algo: beside these fields those of its item (ChaseItem, TwapItem, …)."""

    kind: Literal["chase", "scalper", "twap", "twap_basket", "trail_stop"]
    sub_account_id: str


class AlgoList(Wire, frozen=True, kw_only=True):
    """Running algos."""

    algos: tuple[RunningAlgo, ...]


class LedgerPage(Wire, frozen=True, kw_only=True):
    """Changes of an account's cash, newest first; `next` is `before` of the page after it."""

    items: tuple[LedgerItem, ...]
    next: str | None


class TradePage(Wire, frozen=True, kw_only=True):
    """Executions of an account, newest first; `next` is `before` of the page after it."""

    items: tuple[TradeItem, ...]
    next: str | None


class StatementPage(Wire, frozen=True, kw_only=True):
    """Days of an account, newest first; `next` is `before` of the page after it."""

    items: tuple[StatementDay, ...]
    next: str | None


class OrderPage(Wire, frozen=True, kw_only=True):
    """With `state=closed`: orders that have ended, newest first; `next` is `before` of the page after it."""

    items: tuple[ClosedOrder, ...]
    next: str | None


class ServiceItem(Wire, frozen=True, kw_only=True):
    """A service: when it was last heard (null: never, or it tells nothing), and its processes."""

    name: str
    last_update_ms: int | None
    processes: tuple[Heartbeat, ...]


class TradingStateItem(Wire, frozen=True, kw_only=True):
    """Where trading is not active; null stands for all."""

    sub_account_id: str | None
    symbol: str | None
    state: TradingState


class ServiceList(Wire, frozen=True, kw_only=True):
    """All services, and the trading states; `epoch` is that of the events."""

    services: tuple[ServiceItem, ...]
    trading_states: tuple[TradingStateItem, ...]
    epoch: int


class AuditItem(Wire, frozen=True, kw_only=True):
    """What an operator asked for (`who`, `address`, `command`, `body`), or how a request ended (`outcome`).

    `id` is the time in epoch milliseconds and a counter. `outcome` is `success` or the code of the failure.
    """

    id: str
    request_id: str
    who: str | None = None
    address: str | None = None
    command: str | None = None
    body: str | None = None
    outcome: str | None = None


class AuditPage(Wire, frozen=True, kw_only=True):
    """Operators' actions, newest first; `next` is `before` of the page after it."""

    items: tuple[AuditItem, ...]
    next: str | None
