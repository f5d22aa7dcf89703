"""The venue's filters, checked before an order or an amendment is sent.

Owns the rules of PRICE_FILTER, LOT_SIZE, MARKET_LOT_SIZE and MIN_NOTIONAL and their public codes. Never rounds: who
sends exact prices has rounded. Rules that need a mark price (percent price, notional of market orders) are left to the
venue. Used by the order manager.
"""

from decimal import Decimal

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import is_multiple, plain


def check_order(
    spec: SymbolSpec | None, symbol: str, price: Decimal | None, quantity: Decimal, exempt_from_notional: bool
) -> None:
    """Raise `CommandError` where the venue would refuse. `price` None: a market order."""
    if spec is None:
        raise CommandError(ErrorCode.SYMBOL_UNKNOWN, f"{symbol} is not listed by the exchange", field="symbol")
    if spec.status != "TRADING" or spec.margin_asset != "USDT":
        raise CommandError(ErrorCode.SYMBOL_NOT_TRADING, f"{symbol} is {spec.status}", field="symbol")
    if price is None:
        bounds = (spec.market_step_size, spec.market_min_quantity, spec.market_max_quantity)
        _check_quantity(quantity, *bounds)
    _check_quantity(quantity, spec.step_size, spec.min_quantity, spec.max_quantity)
    if price is None:
        return
    _check_price(price, spec)
    if not exempt_from_notional and price * quantity < spec.min_notional:
        text = f"{plain(price * quantity)} is below the minimum notional {plain(spec.min_notional)}"
        raise CommandError(ErrorCode.EXCHANGE_MIN_NOTIONAL, text, field="quantity")


def _check_quantity(quantity: Decimal, step: Decimal, smallest: Decimal, largest: Decimal) -> None:
    if quantity <= 0 or quantity < smallest:
        text = f"{plain(quantity)} is below the minimum {plain(smallest)}"
        raise CommandError(ErrorCode.EXCHANGE_QTY_TOO_SMALL, text, field="quantity")
    if largest and quantity > largest:
        text = f"{plain(quantity)} is above the maximum {plain(largest)}"
        raise CommandError(ErrorCode.EXCHANGE_QTY_TOO_LARGE, text, field="quantity")
    if not is_multiple(quantity - smallest, step):
        text = f"{plain(quantity)} is not on the step of {plain(step)}"
        raise CommandError(ErrorCode.FILTER_QUANTITY, text, field="quantity")


def _check_price(price: Decimal, spec: SymbolSpec) -> None:
    if price <= 0 or price < spec.min_price or (spec.max_price and price > spec.max_price):
        text = f"{plain(price)} is outside {plain(spec.min_price)} to {plain(spec.max_price)}"
        raise CommandError(ErrorCode.FILTER_PRICE, text, field="price")
    if not is_multiple(price - spec.min_price, spec.tick_size):
        text = f"{plain(price)} is not on the tick of {plain(spec.tick_size)}"
        raise CommandError(ErrorCode.FILTER_PRICE, text, field="price")
