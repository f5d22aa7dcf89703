"""A takeover: the house takes a position of an account, or a part of it, at a price.

For what cannot be sent to the exchange, or is too small for it. Nothing changes at the exchange: the account's profit
is settled as if it had closed, the house holds the position at that price, and the netting book carries the difference
until the exchange realises it. Pure; who decides on it names the cause. Used by the application's takeovers.
"""

from decimal import Decimal

from pms_common.decimals import ZERO
from pms_risk.domain.account import Account
from pms_risk.domain.booking import Booking, Deal
from pms_risk.domain.books import ONE, Books
from pms_risk.domain.position import Position


def take_over(
    books: Books,
    account: Account,
    position: Position,
    quantity: Decimal,
    price: Decimal,
    reference: str,
    at_ms: int,
    *,
    releases: bool = True,
) -> Booking:
    """Move `quantity` (unsigned, at most all of the position) to the house at `price`.

    `reference` names the decision and is unique together with the position. `releases`: a part of an isolated position
    gives its margin back.
    """
    if not ZERO < quantity <= abs(position.quantity):
        raise ValueError(f"cannot take {quantity} of a position of {position.quantity}")
    deal = Deal(f"{reference}:{position.id}", position.symbol, position.leg, price, ONE, at_ms, releases=releases)
    booking = Booking(deal.reference, account.id, position.leg)
    closing = -quantity if position.quantity > 0 else quantity
    profit = books.move_account(booking, account, deal, closing, ZERO)
    profit += books.move_house(booking, deal, -closing)
    books.book_netting(booking, deal, -profit)
    books.settle_debt(booking, account, deal)
    return booking
