"""Whether the books equal the exchange: positions per symbol and leg, cash per asset.

Owns what the exchange last said of itself and the comparison. A difference counts once it has been seen twice in a row
unchanged, whatever was traded meanwhile, because facts about the account arrive before the executions that explain
them. Never repairs anything.
Used by the application's periodic check.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.base import PositionSide
from pms_common.contracts.bus.orders import ExchangeAccount
from pms_common.decimals import ZERO
from pms_risk.domain.books import Books

CASH_TOLERANCE = Decimal("1E-8")


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference: `what` is a symbol (with its leg in hedge mode) or an asset."""

    kind: str
    what: str
    symbol: str
    leg: PositionSide
    books: Decimal
    exchange: Decimal

    @property
    def difference(self) -> Decimal:
        """By how much the exchange is above the books."""
        return self.exchange - self.books

    @property
    def identity(self) -> tuple[str, str, Decimal]:
        """What makes it the same difference when it is seen again."""
        return self.kind, self.what, self.difference


class Reconciliation:
    """The exchange's own word, and which differences are confirmed."""

    def __init__(self) -> None:
        self.wallets: dict[str, Decimal] = {}
        self.positions: dict[tuple[str, PositionSide], Decimal] = {}
        self.known = False
        """Whether the exchange has told everything once."""
        self.confirmed: frozenset[Drift] = frozenset()
        self.frozen_symbols: frozenset[str] = frozenset()
        """Symbols with a confirmed difference: no new risk there."""
        self._last: frozenset[tuple[str, str, Decimal]] = frozenset()

    def take(self, facts: ExchangeAccount) -> None:
        """Remember what the exchange says; a complete account replaces all that was known."""
        if facts.complete:
            self.wallets.clear()
            self.positions.clear()
            self.known = True
        for balance in facts.balances:
            self.wallets[balance.asset] = balance.wallet
        for position in facts.positions:
            self.positions[position.symbol, position.position_side] = position.quantity

    def compare(self, books: Books) -> frozenset[Drift]:
        """All present differences."""
        if not self.known:
            return frozenset()
        return frozenset((*self._positions(books), *self._cash(books)))

    def check(self, books: Books) -> frozenset[Drift]:
        """Compare; the differences that are confirmed now and were not before."""
        found = self.compare(books)
        before = {drift.identity for drift in self.confirmed}
        self.confirmed = frozenset(drift for drift in found if drift.identity in self._last)
        self._last = frozenset(drift.identity for drift in found)
        self.frozen_symbols = frozenset(drift.symbol for drift in self.confirmed if drift.symbol)
        return frozenset(drift for drift in self.confirmed if drift.identity not in before)

    def _positions(self, books: Books) -> list[Drift]:
        own = books.quantities()
        drifts = []
        for key in own.keys() | self.positions.keys():
            booked, found = own.get(key, ZERO), self.positions.get(key, ZERO)
            if booked != found:
                symbol, leg = key
                what = symbol if leg == "BOTH" else f"{symbol}:{leg}"
                drifts.append(Drift("position", what, symbol, leg, booked, found))
        return drifts

    def _cash(self, books: Books) -> list[Drift]:
        assets = self.wallets.keys() | {asset for _, asset in books.house.cash}
        drifts = []
        for asset in assets:
            booked, found = books.cash(asset), self.wallets.get(asset, ZERO)
            if abs(booked - found) > CASH_TOLERANCE:
                drifts.append(Drift("cash", asset, "", "BOTH", booked, found))
        return drifts
