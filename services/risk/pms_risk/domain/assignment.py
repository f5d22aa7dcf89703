"""An assignment: an execution that the house holds because nobody knew whose it was goes to an account.

Nothing changes at the exchange. The account gets the quantity at the price of the execution, pays its commission, and
gets or pays the funding since; the house gives up all of that. Pure. Used by the application's assignments.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.base import PositionSide
from pms_risk.domain.account import Account
from pms_risk.domain.booking import Booking, Deal
from pms_risk.domain.books import ONE, Books
from pms_risk.domain.house import EXTERNAL


@dataclass(frozen=True, slots=True)
class Held:
    """An execution in the house's external book: `quantity` is signed, `commission` what it costs in USDT."""

    reference: str
    symbol: str
    leg: PositionSide
    quantity: Decimal
    price: Decimal
    commission: Decimal
    at_ms: int


def assign(books: Books, account: Account, held: Held) -> Booking:
    """Move an execution from the house to an account, at the leverage of the position it joins, or 1.

    What it opens is a cross position: nobody has asked whether the account can assign a margin to it, which at this
    leverage were all of its notional.
    """
    position = account.holding(held.symbol, held.leg).position
    leverage = position.leverage if position is not None else ONE
    reference = f"assigned:{held.reference}"
    deal = Deal(reference, held.symbol, held.leg, held.price, leverage, held.at_ms, isolates=False)
    booking = Booking(reference, account.id, held.leg)
    if held.commission:
        books.book_account(booking, deal, account, -held.commission, "commission")
        books.book_house(booking, deal, EXTERNAL, held.commission, "commission")
    profit = books.move_account(booking, account, deal, held.quantity, held.commission)
    profit += books.move_house(booking, deal, -held.quantity)
    books.book_netting(booking, deal, -profit)
    books.settle_debt(booking, account, deal)
    return booking
