"""Which accounts a moved price can have brought to a limit: the screening of ticks, in floats.

Owns a lower bound that costs next to nothing: from base prices every account has a reach, the relative move that all
its prices together would have to make against it before it meets its limit. A tick is compared with the reaches of
those who hold its symbol; only accounts that one of their prices has reached are looked at, at each of their ticks.
Floats decide here who is looked at, never what is done. Pure. Used by the application's sentinel, which builds a new
screen from the newest prices every second.
"""

from collections.abc import Collection, Mapping
from heapq import heapify, heappop, heappush

from pms_risk.domain.account import Account
from pms_risk.domain.evaluation import cash_behind, lines_of
from pms_risk.domain.liquidation.course import name_of
from pms_risk.domain.maintenance import Brackets
from pms_risk.domain.math import INSOLVENT_RATIO
from pms_risk.domain.position import Position

CUSHION = 1e-9
"""Relative; far more than the rounding of a hundred additions, far less than any step of an account's money."""
_INSOLVENT = float(INSOLVENT_RATIO)
Lines = list[tuple[float, float]]


class Row:
    """An account's cross positions, or one that is isolated, in floats. `limit` is the margin ratio from which on they
    must be looked at, `name` what they are known by."""

    __slots__ = ("account_id", "cash", "isolated", "legs", "limit", "name", "needed", "symbols")

    def __init__(self, account: Account, brackets: Brackets, limit: float, isolated: Position | None = None) -> None:
        self.account_id, self.isolated = account.id, isolated.id if isolated is not None else ""
        self.name = name_of(account.id, self.isolated)
        self.limit = limit
        self.cash = float(cash_behind(account, isolated))
        self.needed = 0.0
        self.legs: list[tuple[str, float, Lines]] = []
        cross = [position for position in account.open_positions() if position.isolated is None]
        for position in cross if isolated is None else [isolated]:
            of = lines_of(account, position, brackets)
            self.cash -= float(position.cost)
            moving: Lines = []
            if len(of) == 1 and not of[0][0]:
                self.needed += float(of[0][1])
            else:
                moving = [(float(slope), float(offset)) for slope, offset in of]
            self.legs.append((position.symbol, float(position.quantity), moving))
        self.symbols = frozenset([symbol for symbol, _, _ in self.legs])

    def stand(self, mids: Mapping[str, float]) -> tuple[float, float] | None:
        """Equity and maintenance margin at these prices; None where one is missing."""
        equity, needed = self.cash, self.needed
        for symbol, quantity, moving in self.legs:
            mid = mids.get(symbol)
            if mid is None:
                return None
            equity += quantity * mid
            if moving:
                needed += max([slope * mid + offset for slope, offset in moving])
        return equity, needed

    def ratio(self, mids: Mapping[str, float]) -> float | None:
        """Margin ratio at these prices."""
        stands = self.stand(mids)
        if stands is None:
            return None
        equity, needed = stands
        return needed / equity if equity > 0 else _INSOLVENT

    def reach(self, mids: Mapping[str, float]) -> float | None:
        """The relative move of all its prices that it is sure to bear; None where a price is missing."""
        stands = self.stand(mids)
        if stands is None:
            return None
        equity, needed = stands
        slack = self.limit * equity - needed
        if slack <= 0:
            return 0.0
        moved = sum(
            [
                mids[symbol] * (abs(quantity) * self.limit + (moving[-1][0] if moving else 0.0))
                for symbol, quantity, moving in self.legs
            ]
        )
        return slack / moved * (1 - CUSHION)


class Screen:
    """Reaches of accounts from base prices. An account is stirred once one of its own prices has moved so far."""

    def __init__(self, base: Mapping[str, float]) -> None:
        self.base = dict(base)
        self._moves: dict[str, float] = {}
        self._reaches: dict[str, tuple[float, frozenset[str]]] = {}
        self._calm: dict[str, list[tuple[float, str]]] = {}
        """By symbol the accounts that hold it, a heap once its price has moved; entries of another reach than the
        account's are stale."""
        self._stirred: dict[str, set[str]] = {}

    def move(self, symbol: str, mid: float) -> Collection[str]:
        """A price is another; the stirred accounts that hold the symbol."""
        calm = self._calm.get(symbol)
        if calm and symbol not in self._moves:
            heapify(calm)
        move = self._moves[symbol] = abs(mid / self.base.setdefault(symbol, mid) - 1) * (1 + CUSHION)
        while calm and calm[0][0] <= move:
            reach, name = heappop(calm)
            known = self._reaches.get(name)
            if known is not None and known[0] == reach:
                self._stir(name, known[1])
        return self._stirred.get(symbol, ())

    def put(self, row: Row) -> bool:
        """Take what it is about as it is now; whether that is stirred, or not known to be calm: a price is missing."""
        name = row.name
        self.drop(name)
        if not row.legs:
            return False
        reach = row.reach(self.base)
        if reach is None:
            return True
        self._reaches[name] = (reach, row.symbols)
        moves = self._moves
        if not reach or (moves and reach <= max([moves.get(symbol, 0.0) for symbol in row.symbols])):
            self._stir(name, row.symbols)
            return True
        entry = (reach, name)
        for symbol in row.symbols:
            if symbol in moves:
                heappush(self._calm.setdefault(symbol, []), entry)
            else:
                self._calm.setdefault(symbol, []).append(entry)
        return False

    def drop(self, name: str) -> None:
        """Forget an account."""
        known = self._reaches.pop(name, None)
        for symbol in known[1] if known is not None else ():
            if symbol in self._stirred:
                self._stirred[symbol].discard(name)

    def _stir(self, name: str, symbols: frozenset[str]) -> None:
        for symbol in symbols:
            self._stirred.setdefault(symbol, set()).add(name)
