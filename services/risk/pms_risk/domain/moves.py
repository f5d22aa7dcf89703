"""Who got what, lately: every change of a position by quantity, with the time of its deal.

Owns the memory of moves, bounded in number, so that positions as of a moment can be told: what is held now, less what
moved after it. Filled by `books`, from the database at start; used by `funding` and `flows`.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from pms_common.contracts.bus.base import PositionSide
from pms_common.decimals import ZERO

MAX_MOVES = 200_000
"""About 40 MB; more than an hour at 50 executions a second."""
Holder = tuple[str, PositionSide]
"""Owner (an account or the house) and leg."""


@dataclass(frozen=True, slots=True)
class Move:
    """A signed quantity that `owner` got at `price`, positive bought. `liquidation`: the exchange closed it, and
    charges its liquidation fee."""

    owner: str
    symbol: str
    leg: PositionSide
    quantity: Decimal
    price: Decimal
    at_ms: int
    liquidation: bool = False


class Moves:
    """The newest moves, and from which time on they are complete."""

    def __init__(self, most: int = MAX_MOVES) -> None:
        self._moves: deque[Move] = deque()
        self._by_symbol: dict[str, deque[Move]] = {}
        self._most = most
        self.added = 0
        """How many were ever added."""
        self.complete_from_ms = 0
        """All moves of deals after this are remembered."""

    def add(self, move: Move) -> None:
        """Remember a move, forget the oldest one where there are too many."""
        self._moves.append(move)
        self.added += 1
        self._by_symbol.setdefault(move.symbol, deque()).append(move)
        if len(self._moves) > self._most:
            oldest = self._moves.popleft()
            same = self._by_symbol[oldest.symbol]
            same.popleft()
            if not same:
                del self._by_symbol[oldest.symbol]
            self.complete_from_ms = max(self.complete_from_ms, oldest.at_ms)

    def knows(self, symbol: str) -> bool:
        """Whether anything moved on a symbol."""
        return symbol in self._by_symbol

    def after(self, symbol: str, at_ms: int) -> dict[Holder, Decimal]:
        """What moved on a symbol by deals later than `at_ms`, by holder."""
        sums: dict[Holder, Decimal] = {}
        for move in self._by_symbol.get(symbol, ()):
            if move.at_ms > at_ms:
                holder = (move.owner, move.leg)
                sums[holder] = sums.get(holder, ZERO) + move.quantity
        return sums

    def came_late(self, symbol: str, until_ms: int, since: int) -> bool:
        """Whether a move on a symbol by a deal until `until_ms` was added since `added` was `since`."""
        new = self.added - since
        if new > len(self._moves):
            return True
        return any(move.symbol == symbol and move.at_ms <= until_ms for move in islice(reversed(self._moves), new))

    def liquidated(self, symbol: str, at_ms: int, within_ms: int) -> dict[str, Decimal]:
        """Notional that the exchange liquidated on a symbol around a moment, by owner."""
        sums: dict[str, Decimal] = {}
        for move in self._by_symbol.get(symbol, ()):
            if move.liquidation and abs(move.at_ms - at_ms) <= within_ms:
                sums[move.owner] = sums.get(move.owner, ZERO) + abs(move.quantity) * move.price
        return sums
