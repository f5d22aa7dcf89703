"""What a commission that the exchange took in another asset costs an account, in the settlement asset.

Source: the account pays what the asset is worth at its mark (the mid of e.g. BNBUSDT, as of the booking). Where no mark
is known, it pays what the same execution costs in the settlement asset: the exchange's rate on the notional, without
the discount for paying in BNB. Used by `books`.
"""

from collections.abc import Callable
from decimal import Decimal

from pms_common.contracts.bus.orders import Fill
from pms_risk.domain.position import WALLET_UNIT

FeeValue = Callable[[Fill], Decimal]
MAKER_FEE, TAKER_FEE = Decimal("0.0002"), Decimal("0.0005")
"""The venue's default rates, until the order service has told the account's own."""


def at_mark(fill: Fill, mark: Decimal) -> Decimal:
    """The commission at the asset's mark, to the wallet's unit."""
    return (fill.commission * mark).quantize(WALLET_UNIT)


def at_rate(fill: Fill, maker: Decimal = MAKER_FEE, taker: Decimal = TAKER_FEE) -> Decimal:
    """The commission that the exchange's rates make of the notional, to the wallet's unit."""
    return (fill.price * fill.quantity * (maker if fill.maker else taker)).quantize(WALLET_UNIT)
