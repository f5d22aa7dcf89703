"""Takeovers: what becomes of an account's position that cannot be closed at the exchange.

Owns that a takeover is booked, journalled and told (`position_closed` or `position_reduced`, reason TAKEOVER) together.
Never decides on one: that is the liquidation's and the commands'.
"""

from decimal import Decimal

from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.events import Events, Occasion
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.booking import Booking
from pms_risk.domain.position import Position
from pms_risk.domain.snapshot import snapshot
from pms_risk.domain.takeover import take_over

log = get_logger(__name__)

_takeovers = counter("risk_takeovers", "Positions, or parts of them, that the house has taken over from accounts")


class Takeovers:
    """Moves positions of accounts to the house."""

    def __init__(self, state: RiskState, journal: Journal, events: Events) -> None:
        self._state = state
        self._journal = journal
        self._events = events

    def take(
        self,
        account: Account,
        position: Position,
        quantity: Decimal,
        price: Decimal,
        reference: str,
        at_ms: int,
        *,
        releases: bool = True,
    ) -> Booking:
        """Take `quantity` (unsigned) of a position at `price`.

        `reference` names the decision (a request, a liquidation step) and is never used again for this position.
        `releases`: a part of an isolated position gives its margin back.
        """
        books = self._state.books
        booking = take_over(books, account, position, quantity, price, reference, at_ms, releases=releases)
        self._journal.booking(booking, at_ms)
        self._journal.account(account)
        occasion = Occasion(booking.reference, "TAKEOVER", price, at_ms)
        self._events.positions(occasion, booking, account, snapshot(account, self._state.prices.mark))
        _takeovers.inc()
        log.warning(
            "position_taken_over",
            account_id=account.id,
            symbol=position.symbol,
            quantity=str(quantity),
            price=str(price),
            reference=reference,
        )
        return booking
