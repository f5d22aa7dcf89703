"""Which prices may liquidate, and what a position may be worth at most where there is none such.

Owns the test of a price, and the bound that stands in for one that fails it: the mark that is best for the account, so
that a symbol nobody can price shields no account that is over its limit even so. Pure. Used by the application's
sentinel.
"""

from decimal import Decimal

from pms_common.decimals import ZERO
from pms_risk.domain.prices import Quote

MAX_RISE = Decimal(2)
"""How far a price can have risen unseen: doubled. A contract that is halted or delisted is settled near its last price;
one that trades and whose price stays away is an alarm within the second."""


def tight(quote: Quote, max_spread: Decimal) -> bool:
    """Whether the market is narrow enough for its mid to count; `max_spread` is a share of the mid."""
    return quote.ask - quote.bid <= max_spread * quote.mid


def bound(quantity: Decimal, entry_price: Decimal, quote: Quote | None, fresh: bool) -> Decimal:
    """The mark at which a symbol without a sound price is worth most to who holds `quantity` of it, signed.

    A fresh, wide market bounds it by its own sides; an old price, or before any price the entry, by what it can have
    become unseen.
    """
    if quote is not None and fresh:
        return quote.ask if quantity > 0 else quote.bid
    return MAX_RISE * (quote.ask if quote is not None else entry_price) if quantity > 0 else ZERO
