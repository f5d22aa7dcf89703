"""Which accounts a moved price can have brought to a limit: the screening of ticks, in floats.

Owns a lower bound that costs next to nothing: from base prices every account has a reach, the relative move that all
its prices together would have to make against it before it meets its limit. A tick is compared with the reaches, and
only accounts within it are looked at one by one. Floats decide here who is looked at, never what is done. Pure. Used by
the application's sentinel, which builds a new screen from the newest prices every second.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping

from pms_risk.domain.account import Account
from pms_risk.domain.evaluation import lines_of
from pms_risk.domain.maintenance import Brackets
from pms_risk.domain.math import INSOLVENT_RATIO

CUSHION = 1e-9
"""Relative; far more than the rounding of a hundred additions, far less than any step of an account's money."""
_INSOLVENT = float(INSOLVENT_RATIO)
Lines = list[tuple[float, float]]


class Row:
    """An account in floats, as of one version. `limit` is the margin ratio from which on it must be looked at."""

    __slots__ = ("cash", "legs", "limit", "needed", "symbols", "version")

    def __init__(self, account: Account, brackets: Brackets, limit: float) -> None:
        self.version = account.version
        self.limit = limit
        self.cash = float(account.cash)
        self.needed = 0.0
        self.legs: list[tuple[str, float, Lines]] = []
        for position in account.open_positions():
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
    """Reaches of accounts from base prices. `widest` is the largest move of any price since."""

    def __init__(self, base: Mapping[str, float]) -> None:
        self.base = dict(base)
        self.widest = 0.0
        self._moves: dict[str, float] = {}
        self._reaches: dict[str, float] = {}
        self._ascending: list[tuple[float, str]] = []

    def move(self, symbol: str, mid: float) -> None:
        """A price is another."""
        base = self.base.setdefault(symbol, mid)
        move, before = abs(mid / base - 1), self._moves.get(symbol, 0.0)
        self._moves[symbol] = move
        if move >= self.widest:
            self.widest = move
        elif before == self.widest:
            self.widest = max(self._moves.values())

    def put(self, account_id: str, row: Row) -> None:
        """Take an account as it is now. One without positions, or with a price missing, is none of the screen's."""
        self.drop(account_id)
        reach = row.reach(self.base) if row.legs else None
        if reach is not None:
            self._reaches[account_id] = reach
            insort(self._ascending, (reach, account_id))

    def within(self) -> Iterator[str]:
        """The accounts that the moves so far may have brought to their limits."""
        last = bisect_right(self._ascending, (self.widest * (1 + CUSHION), "\U0010ffff"))
        return (self._ascending[at][1] for at in range(last))

    def drop(self, account_id: str) -> None:
        """Forget an account."""
        reach = self._reaches.pop(account_id, None)
        if reach is not None:
            del self._ascending[bisect_right(self._ascending, (reach, account_id)) - 1]
