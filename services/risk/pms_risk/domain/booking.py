"""What is booked (a deal), and what booking it has changed: position steps, cash entries, and what is to be told.

Owns plain facts only. Made by `books` and `takeover`, read by the journal and by the events.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from pms_common.contracts.bus.base import PositionSide
from pms_common.decimals import ZERO
from pms_risk.domain.execution import Step
from pms_risk.domain.funding import Funding
from pms_risk.domain.ledger import Entry
from pms_risk.domain.moves import Move
from pms_risk.domain.position import Position


@dataclass(frozen=True, slots=True)
class Deal:
    """An execution or a takeover, whosoever it concerns. `reference` is part of the key of every entry it makes."""

    reference: str
    symbol: str
    leg: PositionSide
    price: Decimal
    leverage: Decimal
    at_ms: int
    liquidation: bool = False
    """The exchange has liquidated, and charges its fee apart."""
    releases: bool = True
    """What it closes of an isolated position gives its margin back; not so a liquidation of ours."""
    isolates: bool = True
    """What it opens is isolated where the account's mode says so; not so what no rule has approved."""


@dataclass(slots=True)
class Booking:
    """A deal, booked. `owner` is the account that was charged, or the house."""

    reference: str
    owner: str
    leg: PositionSide
    steps: list[Step] = field(default_factory=list)
    margined: list[Position] = field(default_factory=list)
    """Isolated positions of the owner whose margin has paid, or got, a funding."""
    moves: list[Move] = field(default_factory=list)
    account_entries: list[Entry] = field(default_factory=list)
    house_entries: list[Entry] = field(default_factory=list)
    fundings: list[Funding] = field(default_factory=list)
    """Settlements that came into the ledger with it."""
    paid: Decimal = ZERO
    """Commission that the owner paid, in the settlement asset."""
    excess: Decimal = ZERO
    """Quantity beyond the owner's position that went to the house; not zero is an alarm."""

    @property
    def own_steps(self) -> list[Step]:
        """Steps of the owner's positions."""
        return [step for step in self.steps if step.owner == self.owner]

    @property
    def profit(self) -> Decimal:
        """What closing earned its owner, net of commission."""
        return sum((step.profit for step in self.own_steps), ZERO)

    @property
    def flipped(self) -> bool:
        """Whether the owner's position changed sides."""
        return len(self.own_steps) == 2
