"""Funding: what each holder of a position pays or gets, by the position as of the funding instant.

Owns the amounts (-rate x signed position x mark, to the wallet's unit) and that each (symbol, instant) is settled once.
The exchange pays on the net of all positions, and nothing where they net to zero; each holder pays on its own. Both
meet in the house's rounding book, where only rounding stays. Deals after the instant do not count; one before it that
is heard of later brings its own share of the funding. Used by `books` and the application.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from pms_risk.domain.position import WALLET_UNIT

MAX_LATE = 50
"""Settlements of a symbol that a late execution may still have missed: two days of hourly ones."""
MAX_SETTLED = 100_000
FundingKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Funding:
    """A settlement of the exchange: the rate as a fraction, the mark it is applied to."""

    symbol: str
    rate: Decimal
    mark: Decimal
    at_ms: int

    @property
    def key(self) -> FundingKey:
        """What makes it unique."""
        return self.symbol, self.at_ms

    def payment(self, quantity: Decimal) -> Decimal:
        """What a signed quantity gets; negative: pays."""
        return (-self.rate * quantity * self.mark).quantize(WALLET_UNIT)


class Fundings:
    """Which settlements were heard of, and which are in the ledger."""

    def __init__(self) -> None:
        self._settled: OrderedDict[FundingKey, None] = OrderedDict()
        self._booked: OrderedDict[FundingKey, None] = OrderedDict()
        self._late: dict[str, deque[Funding]] = {}

    def settle(self, funding: Funding) -> bool:
        """Remember a settlement; whether it is a new one."""
        if funding.key in self._settled:
            return False
        _remember(self._settled, funding.key)
        self._late.setdefault(funding.symbol, deque(maxlen=MAX_LATE)).append(funding)
        return True

    def put_off(self, funding: Funding) -> None:
        """It cannot be settled now: as if it had not been heard of."""
        self._settled.pop(funding.key, None)
        self._late[funding.symbol].remove(funding)

    def load(self, fundings: Iterable[Funding]) -> None:
        """Take those that are in the ledger, oldest first."""
        for funding in fundings:
            self.settle(funding)
            _remember(self._booked, funding.key)

    def book(self, funding: Funding) -> bool:
        """Note that it is in the ledger; whether it was not before."""
        if funding.key in self._booked:
            return False
        _remember(self._booked, funding.key)
        return True

    def missed(self, symbol: str, at_ms: int) -> Iterator[Funding]:
        """Settlements that a deal of that time should have been part of."""
        for funding in self._late.get(symbol, ()):
            if at_ms <= funding.at_ms:
                yield funding


def _remember(kept: OrderedDict[FundingKey, None], key: FundingKey) -> None:
    kept[key] = None
    if len(kept) > MAX_SETTLED:
        kept.popitem(last=False)
