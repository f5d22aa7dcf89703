"""Payments that the first look at the exchange has not seen, though the income list dates them before it.

The look holds what changed until a moment that the order service names; a change of a wallet that is told with a later
time came after it. Its line in the income list may be dated earlier: a funding at its instant, before it is paid,
others cut to the second. Owns the matching of such a line to such a change: by asset, symbol and amount, each change
once. All other lines are judged by their own time. Payments of one amount within a second of the look cannot be told
apart. Pure. Used by `books` and by the application's exchange facts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from pms_common.contracts.bus.exchange import CashFlow
from pms_common.contracts.bus.orders import ExchangeAccount
from pms_common.decimals import ZERO

FUNDING_FEE = "FUNDING_FEE"
EARLIER_MS = 1_000
"""How much earlier than the change of the wallet a line may be dated: some are cut to the second."""
FUNDING_EARLIER_MS = 75_000
"""The same of a funding, which is dated at its instant. An allowance: the venue speaks of 15 s between both."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """A change of a wallet after the first look. `symbol` of a funding, where it is told."""

    asset: str
    change: Decimal
    at_ms: int
    funding: bool
    symbol: str = ""

    @property
    def earliest_ms(self) -> int:
        """From when on its line in the income list may be dated."""
        return self.at_ms - (FUNDING_EARLIER_MS if self.funding else EARLIER_MS)

    def fits(self, flow: CashFlow) -> bool:
        """Whether the line may be its own, or a part of it."""
        return (
            flow.asset == self.asset
            and (flow.kind == FUNDING_FEE) == self.funding
            and (not self.symbol or flow.symbol == self.symbol)
            and self.earliest_ms <= flow.time_ms <= self.at_ms
        )


def unseen(facts: ExchangeAccount, opened_ms: int) -> list[Unseen]:
    """Changes told after the first look whose lines may be dated before it."""
    if facts.complete or facts.event_ms <= opened_ms:
        return []
    told = [
        Unseen(item.asset, item.change, facts.event_ms, facts.cause == FUNDING_FEE, facts.symbol)
        for item in facts.balances
        if item.change
    ]
    return [change for change in told if change.earliest_ms <= opened_ms]


class UnseenPayments:
    """Changes whose lines have not come yet: those of the first minute."""

    def __init__(self) -> None:
        self._waiting: list[Unseen] = []
        self._known: set[Unseen] = set()

    def add(self, change: Unseen) -> bool:
        """Wait for a change's line; False where the change was told before."""
        if change in self._known:
            return False
        self._known.add(change)
        self._waiting.append(change)
        return True

    def explain(self, flows: Sequence[CashFlow]) -> set[int]:
        """Which of these lines, by place, are the changes' own; their changes do not wait any more."""
        found: set[int] = set()
        for change in list(self._waiting):
            places = [n for n, flow in enumerate(flows) if n not in found and change.fits(flow)]
            own = next((own for own in _choices(places, flows) if _sum(own, flows) == change.change), None)
            if own is not None:
                found.update(own)
                self._waiting.remove(change)
        return found


def _choices(places: list[int], flows: Sequence[CashFlow]) -> Iterator[list[int]]:
    """The newest line first, then all of one symbol and instant (a hedged one has a line a leg), then of an instant."""
    yield from ([place] for place in sorted(places, key=lambda place: -flows[place].time_ms))
    ordered = sorted(places, key=lambda place: (flows[place].time_ms, flows[place].symbol))
    yield from (list(one) for _, one in groupby(ordered, key=lambda place: (flows[place].time_ms, flows[place].symbol)))
    yield from (list(one) for _, one in groupby(ordered, key=lambda place: flows[place].time_ms))


def _sum(places: list[int], flows: Sequence[CashFlow]) -> Decimal:
    return sum((flows[place].amount for place in places), ZERO)
