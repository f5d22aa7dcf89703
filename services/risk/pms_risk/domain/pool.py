"""The exchange account behind all virtual ones: what margin it needs, and how near the venue's own liquidation it is.

Owns the pool's two figures. *Needed* initial margin takes the larger side of each symbol, because accounts of the other
side may close first, and all that live orders may open, at the exchange's leverage. The *ratio* is the venue's: its
maintenance margin of the net position over the equity. Pure. Used by the application's pool watch, which measures in
slices, and by the pre-trade rule.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from pms_common.decimals import ZERO
from pms_risk.domain.account import Account, Marks
from pms_risk.domain.maintenance import DEFAULT_RATE, Brackets, lines, required
from pms_risk.domain.math import margin_ratio, unrealized_pnl
from pms_risk.domain.plan import PositionMode
from pms_risk.domain.position import Position

DEFAULT_LEVERAGE = 20
"""The venue's for every symbol whose leverage nobody has changed."""
PoolState = Literal["calm", "warning", "reducing", "critical"]
LEVELS: tuple[tuple[Decimal, PoolState], ...] = (
    (Decimal("0.80"), "critical"),
    (Decimal("0.65"), "reducing"),
    (Decimal("0.50"), "warning"),
)
"""Of the venue's margin ratio, which liquidates at 1."""


@dataclass(slots=True)
class SymbolLoad:
    """All accounts and the house on one symbol: signed sizes by side, and what orders may open, in quote currency."""

    long: Decimal = ZERO
    short: Decimal = ZERO
    orders: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Measured:
    """The pool as measured. `worst` is the symbol that asks for most maintenance margin, with its net size."""

    needed: Decimal
    equity: Decimal
    ratio: Decimal
    worst: tuple[str, Decimal] | None

    @property
    def state(self) -> PoolState:
        """How near the venue is to act."""
        return next((state for level, state in LEVELS if self.ratio >= level), "calm")


@dataclass(slots=True)
class Measuring:
    """One measurement, account by account."""

    marks: Marks
    loads: dict[str, SymbolLoad] = field(default_factory=dict)
    cash: Decimal = ZERO
    pnl: Decimal = ZERO

    def add(self, account: Account) -> None:
        """Count an account."""
        self.cash += account.cash
        for holding in account.holdings.values():
            self._load(holding.symbol).orders += holding.reserved_notional
            if holding.position is not None:
                self.hold(holding.position)

    def hold(self, position: Position) -> None:
        """Count a position."""
        load = self._load(position.symbol)
        if position.quantity > 0:
            load.long += position.quantity
        else:
            load.short -= position.quantity
        mark = self.marks(position.symbol)
        if mark is not None:
            self.pnl += unrealized_pnl(position.quantity, position.cost, mark)

    def measured(self, mode: PositionMode, leverage: Callable[[str], int], brackets: Brackets) -> Measured:
        """What it comes to. A symbol without a price is left out: nothing new is approved on it either."""
        needed, maintenance = ZERO, {}
        for symbol, load in self.loads.items():
            mark = self.marks(symbol)
            if mark is None:
                continue
            size = load.long + load.short if mode == "hedge" else max(load.long, load.short)
            needed += (size * mark + load.orders) / leverage(symbol)
            net = load.long - load.short
            of = lines("brackets", DEFAULT_RATE, net, net * mark, brackets.get(symbol, ()))
            maintenance[symbol] = required(of, mark) if net else ZERO
        equity = self.cash + self.pnl
        worst = max(maintenance, key=maintenance.__getitem__, default=None)
        return Measured(
            needed=needed,
            equity=equity,
            ratio=margin_ratio(sum(maintenance.values(), ZERO), equity),
            worst=(worst, self.loads[worst].long - self.loads[worst].short) if worst is not None else None,
        )

    def _load(self, symbol: str) -> SymbolLoad:
        return self.loads.setdefault(symbol, SymbolLoad())


@dataclass(slots=True)
class Pool:
    """What is known of the pool between two measurements. `room` is the initial margin that is left; None: unknown."""

    room: Decimal | None = None
    state: PoolState = "calm"

    def take(self, measured: Measured) -> None:
        """A new measurement."""
        self.room, self.state = measured.equity - measured.needed, measured.state

    def spend(self, margin: Decimal) -> None:
        """Approved since the last one."""
        if self.room is not None:
            self.room -= margin

    @property
    def reducing(self) -> bool:
        """Whether nothing may open any more."""
        return self.state in ("reducing", "critical")
