"""An order put to the test: the facts the rules look at, and the values computed from them once.

Owns the arithmetic of the pre-trade check (source: the reference of the earlier engine, 2.3 and section 3), with these
differences: live orders count by what they reserve, and the profit of an opposite position counts once.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from pms_common.contracts.bus.base import Side
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import ErrorCode, FieldError
from pms_common.decimals import ZERO
from pms_risk.domain.account import Account, Marks
from pms_risk.domain.evaluation import maintenance_of
from pms_risk.domain.gates import State
from pms_risk.domain.maintenance import Brackets, maintenance_margin
from pms_risk.domain.math import available_margin, usage_ratio
from pms_risk.domain.position import Position

_INFINITE = Decimal("Infinity")


@dataclass(slots=True)
class Trial:
    """One order of an account. `price` is its limit price, None for a market order.

    `mark` and `pnl` are None where a price that they need is missing or stale; `isolated_pnl` is the part of that which
    is of other isolated positions than the one that the order closes. `spec` is None only where the symbol's
    filters are not to be looked at. `marks` and `brackets` are needed where those make the maintenance margin.
    `reduce_only` orders lower risk and are asked for less; with `venue_reduces` they are reduce-only at the exchange
    too, which then has no minimum notional. `reduces` says that it has to be a position that they lower.
    """

    account: Account | None
    symbol: str
    side: Side
    quantity: Decimal
    leverage: Decimal
    price: Decimal | None = None
    reduce_only: bool = False
    mark: Decimal | None = None
    pnl: Decimal | None = None
    isolated_pnl: Decimal = ZERO
    marks: Marks = lambda _: None
    brackets: Brackets = field(default_factory=dict)
    spec: SymbolSpec | None = None
    state: State = "active"
    symbol_frozen: bool = False
    liquidating: bool = False
    pool_room: Decimal | None = None
    exchange_leverage: int = 1
    venue_reduces: bool = False
    reduces: bool = False
    now_ms: int = 0


class Computed(NamedTuple):
    """What the rules compare, in quote currency, and the position that the order closes first."""

    opposite: Position | None
    price: Decimal
    notional: Decimal
    required_margin: Decimal
    available: Decimal
    exposure: Decimal
    """Of the account without the opposite position and without this order."""
    equity: Decimal
    maintenance: Decimal
    usage: Decimal


def compute(trial: Trial, account: Account, mark: Decimal, pnl: Decimal) -> Computed:
    """The values of section 3 of the reference, of the cash that is not assigned to isolated positions and of the
    positions that it stands behind. What the order closes gives back what was assigned to it."""
    opposite = opposite_of(account, trial.symbol, trial.side)
    opposite_notional = opposite.notional if opposite is not None else ZERO
    opposite_margin = opposite.margin if opposite is not None else ZERO
    given_back = opposite_margin if opposite is not None and opposite.isolated is not None else ZERO
    price = trial.price if trial.price is not None else mark
    notional = trial.quantity * price
    required = notional / trial.leverage if trial.leverage else _INFINITE
    equity = account.cross_cash + given_back + pnl - trial.isolated_pnl
    rest = account.notional - opposite_notional
    maintenance = _maintenance(trial, account, opposite)
    used = account.margin - account.isolated - (opposite_margin - given_back)
    return Computed(
        opposite=opposite,
        price=price,
        notional=notional,
        required_margin=required,
        available=available_margin(equity, maintenance) - account.reserved_margin,
        exposure=rest + account.reserved_notional,
        equity=equity,
        maintenance=maintenance,
        usage=usage_ratio(equity, used + account.reserved_margin, required),
    )


def _maintenance(trial: Trial, account: Account, opposite: Position | None) -> Decimal:
    """Maintenance margin of the cross positions without the opposite one; flat, it follows from their notional."""
    if account.maintenance_mode == "flat":
        left = account.notional - account.isolated_notional
        if opposite is not None and opposite.isolated is None:
            left -= opposite.notional
        return maintenance_margin(left, account.maintenance_rate)
    kept = [held for held in account.open_positions() if held.isolated is None and held is not opposite]
    return sum([maintenance_of(account, held, trial.marks(held.symbol), trial.brackets) for held in kept], ZERO)


def refusal(code: ErrorCode, message: str, field: str | None = None) -> FieldError:
    """One violation in the form of the contract."""
    return FieldError(code=code.name, message=message, field=field)


def opposite_of(account: Account, symbol: str, side: Side) -> Position | None:
    """The position that an order of `side` closes first."""
    position = account.holding(symbol, "BOTH").position
    if position is None:
        return account.holding(symbol, "SHORT" if side == "BUY" else "LONG").position
    return position if (position.quantity < 0) == (side == "BUY") else None
