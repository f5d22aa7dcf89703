"""What an execution does to one position: open, add, reduce, close, or close and open the rest (a flip).

Owns the steps and their profit. Never books cash, never knows an account. Used by `books`, for accounts and the house.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pms_common.contracts.base import PositionSide as Side
from pms_common.decimals import ZERO
from pms_risk.domain.position import Position, closing_part

StepKind = Literal["opened", "added", "reduced", "closed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one position; a flip makes two. `profit` is net of the commission charged with it."""

    kind: StepKind
    owner: str
    position: Position
    quantity: Decimal
    """Closed or added, unsigned."""
    side: Side
    """As before the step, or as opened."""
    profit: Decimal


@dataclass(frozen=True, slots=True)
class Moved:
    """The steps, the profit before commission, the position that is left, and what an isolated one lost beyond its
    margin."""

    steps: list[Step]
    profit: Decimal
    position: Position | None
    debt: Decimal


def execute(
    position: Position | None,
    owner: str,
    quantity: Decimal,
    price: Decimal,
    leverage: Decimal,
    commission: Decimal,
    open_position: Callable[[], Position],
    *,
    releases: bool = True,
) -> Moved:
    """Apply a signed quantity. `commission` is taken from what the closing part earns (none of it where nothing
    closes: an opening commission is no loss of a position). `releases`: what is closed of an isolated position gives
    its margin back."""
    steps: list[Step] = []
    profit = debt = ZERO
    closing = closing_part(position.quantity, quantity) if position is not None else ZERO
    if position is not None and closing:
        side = position.side
        profit = position.reduce(closing, price)
        debt = position.settle_margin(abs(closing), profit, releases=releases)
        earned = profit - commission
        position.realized += earned
        steps.append(Step("reduced" if position.quantity else "closed", owner, position, abs(closing), side, earned))
        if not position.quantity:
            position = None
    opening = quantity - closing
    if opening:
        kind: StepKind = "added"
        if position is None:
            kind, position = "opened", open_position()
        position.add(opening, price, leverage)
        steps.append(Step(kind, owner, position, abs(opening), position.side, ZERO))
    return Moved(steps, profit, position, debt)
