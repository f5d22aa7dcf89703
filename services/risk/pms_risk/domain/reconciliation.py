"""Whether the books equal the exchange: positions per symbol and leg, cash per asset.

Owns what the exchange last said of itself and the comparison. Facts about the account arrive before the executions and
cash flows that explain them, so a symbol is compared once the last trade that its fact names is booked, cash once a
payment that was told has had time to come; and a difference counts once it has been seen twice in a row unchanged,
whatever was traded meanwhile. It counts until both are equal again. Never repairs anything.
Used by the application's periodic check.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.base import PositionSide
from pms_common.contracts.bus.orders import ExchangeAccount
from pms_common.decimals import ZERO
from pms_risk.domain.books import Books

CASH_TOLERANCE = Decimal("1E-8")
TRADE_WAIT_MS = 10_000
"""The order service finds an execution that the feed has not told within 5 s."""
PAYMENT_WAIT_MS = 75_000
"""It looks at the list of cash flows at least every 60 s."""


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


@dataclass(frozen=True, slots=True)
class Named:
    """The last trade that a fact includes; it is waited for until `until_ms`, because it may have got lost."""

    trade_ms: int
    until_ms: int


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
        self.equal_ms: dict[str, int] = {}
        """When books and exchange were last seen equal, by symbol and by asset."""
        self._named: dict[str, Named] = {}
        self._paid_until_ms = 0
        self._last: frozenset[tuple[str, str, Decimal]] = frozenset()

    def take(self, facts: ExchangeAccount, now_ms: int) -> None:
        """Remember what the exchange says; a complete account replaces all that was known."""
        if facts.complete:
            self.wallets.clear()
            self.positions.clear()
            self.known = True
        for balance in facts.balances:
            self.wallets[balance.asset] = balance.wallet
        for position in facts.positions:
            self.positions[position.symbol, position.position_side] = position.quantity
            if facts.trade_ms is not None:
                self._named[position.symbol] = Named(facts.trade_ms, now_ms + TRADE_WAIT_MS)
        if facts.trade_ms is None and not facts.complete:
            self._paid_until_ms = now_ms + PAYMENT_WAIT_MS

    def compare(self, books: Books) -> frozenset[Drift]:
        """All present differences."""
        if not self.known:
            return frozenset()
        return frozenset((*self._positions(books), *self._cash(books)))

    def check(self, books: Books, now_ms: int) -> frozenset[Drift]:
        """Compare; the differences that are confirmed now and were not before."""
        found = self.compare(books)
        waits = self._waits(books, now_ms)
        before = {drift.what for drift in self.confirmed}
        due = {drift for drift in found if not (drift.symbol in waits if drift.symbol else waits or self._pays(now_ms))}
        self.confirmed = frozenset(
            drift for drift in found if drift.what in before or (drift in due and drift.identity in self._last)
        )
        self._last = frozenset(drift.identity for drift in due)
        self.frozen_symbols = frozenset(drift.symbol for drift in self.confirmed if drift.symbol)
        self._note_equal(found, now_ms)
        return frozenset(drift for drift in self.confirmed if drift.what not in before)

    def _waits(self, books: Books, now_ms: int) -> set[str]:
        """Symbols of which a trade is named that is not booked yet."""
        self._named = {
            symbol: named
            for symbol, named in self._named.items()
            if books.traded_ms.get(symbol, 0) < named.trade_ms and now_ms < named.until_ms
        }
        return set(self._named)

    def _pays(self, now_ms: int) -> bool:
        return now_ms < self._paid_until_ms

    def _note_equal(self, found: frozenset[Drift], now_ms: int) -> None:
        if self.known:
            differ = {drift.symbol or drift.what for drift in found}
            compared = {symbol for symbol, _ in self.positions} | self.wallets.keys() | self.equal_ms.keys()
            self.equal_ms.update(dict.fromkeys(compared - differ, now_ms))

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
