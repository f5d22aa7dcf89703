"""What booking an execution has changed: position steps, cash entries, and what is to be told.

Owns plain results only. Made by `books`, read by the journal and by the events.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from pms_common.contracts.bus.base import PositionSide
from pms_common.decimals import ZERO
from pms_risk.domain.execution import Step
from pms_risk.domain.fills import FillKey
from pms_risk.domain.ledger import Entry


@dataclass(slots=True)
class Booking:
    """An execution, booked. `owner` is the account that was charged, or the house."""

    key: FillKey
    reference: str
    owner: str
    leg: PositionSide
    steps: list[Step] = field(default_factory=list)
    account_entries: list[Entry] = field(default_factory=list)
    house_entries: list[Entry] = field(default_factory=list)
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
