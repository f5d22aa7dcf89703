"""What the exchange account shows that is not an order of ours: messages of the order service.

Owns: orders and executions of others on the shared account, cash flows, funding rates, margin brackets and the count of
a reconciliation. Used by the order service, which tells them, and by risk, which books them.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.bus.base import PositionSide, Side, Update
from pms_common.contracts.bus.orders import Fill

ForeignKind = Literal[
    "liquidation",  # the exchange has closed a position (client order id `autoclose-…`)
    "adl",  # the exchange has taken a position to deleverage another account (`adl_autoclose`)
    "settlement",  # a delisted or delivered symbol was settled (`settlement_autoclose-…`, `delivery_autoclose-…`)
    "other",  # somebody else's: placed by hand or by another program
    "orphan",  # it bears our prefix, and neither journal, stream nor index knows it
]


class ForeignOrder(Update, frozen=True, kw_only=True, tag="foreign_order"):
    """An order on the exchange account that is not ours, or one execution of it (`fill`).

    Never adopted. Executions are always told, with their side; an order without one only where it is an orphan, with
    its quantity. `key` names the happening as in OrderUpdate: what is told again bears it again. `step_size` is the
    symbol's, None where it is not listed: a redelivered forced close is divided as it was.
    """

    key: str
    kind: ForeignKind
    symbol: str
    client_order_id: str = ""
    exchange_order_id: int
    side: Side | None = None
    position_side: PositionSide = "BOTH"
    fill: Fill | None = None
    step_size: Decimal | None = None
    quantity: Decimal | None = None
    executed_quantity: Decimal | None = None
    price: Decimal | None = None
    event_ms: int


class CashFlow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the exchange's income list; `kind` is its income type, whatever that is, `amount` is signed."""

    flow_id: int
    kind: str
    amount: Decimal
    asset: str
    symbol: str = ""
    info: str = ""
    time_ms: int


class CashFlows(Update, frozen=True, kw_only=True, tag="cash_flows"):
    """Cash flows of the exchange account other than fees and profits of executions, which their fills carry.

    Unique by (kind, flow id, asset, symbol); told again after a restart.
    """

    flows: tuple[CashFlow, ...]


class FundingRate(msgspec.Struct, frozen=True, kw_only=True):
    """A settled funding of one symbol: the rate as a fraction (positive: longs pay) and the mark it is applied to."""

    symbol: str
    rate: Decimal
    mark: Decimal
    time_ms: int


class FundingRates(Update, frozen=True, kw_only=True, tag="funding_rates"):
    """Fundings that the exchange has settled, on any symbol, whether or not the account paid or got anything.

    Unique by (symbol, time); those of the last day are told again after a restart and in a snapshot.
    """

    rates: tuple[FundingRate, ...]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the exchange's objects of one sort: the three add up to all that were found.

    Matched: as known here; adopted: known to journal, stream or index, and now here; quarantined: anything else.
    """

    matched: int = 0
    adopted: int = 0
    quarantined: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.matched + self.adopted + self.quarantined


class Reconciled(Update, frozen=True, kw_only=True, tag="reconciled"):
    """Everything was compared with the exchange. Positions are compared with the virtual ones by risk: matched means
    here that risk can book them, quarantined that their symbol cannot trade here."""

    orders: Tally
    positions: Tally
    trades: Tally
    event_ms: int


class LeverageBracket(msgspec.Struct, frozen=True, kw_only=True):
    """One tier of a symbol's notional: maintenance margin = notional x `rate` - `cum`, up to notional `cap`."""

    cap: Decimal
    rate: Decimal
    cum: Decimal
    leverage: int


class Brackets(Update, frozen=True, kw_only=True, tag="brackets"):
    """The margin tiers of some symbols, lowest first; several entries make the whole."""

    symbols: dict[str, tuple[LeverageBracket, ...]]
