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


def near(quote: Quote, venue_mark: Decimal | None, max_gap: Decimal) -> bool:
    """Whether the mid is near enough to the exchange's mark price; `max_gap` is a share of that, 0: it does not matter.

    A mid that nothing can be compared with is not.
    """
    if not max_gap:
        return True
    return venue_mark is not None and abs(quote.mid - venue_mark) <= max_gap * venue_mark


def bound(
    quantity: Decimal, entry_price: Decimal, quote: Quote | None, fresh: bool, venue_mark: Decimal | None = None
) -> Decimal:
    """The mark at which a symbol without a sound price is worth most to who holds `quantity` of it, signed.

    A fresh market bounds it by its own sides, and by the exchange's mark price where that is farther; an old price, or
    before any price the entry, by what it can have become unseen.
    """
    if quote is not None and fresh:
        if quantity > 0:
            return quote.ask if venue_mark is None else max(quote.ask, venue_mark)
        return quote.bid if venue_mark is None else min(quote.bid, venue_mark)
    return MAX_RISE * (quote.ask if quote is not None else entry_price) if quantity > 0 else ZERO
