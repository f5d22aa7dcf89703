"""The venue's filters, checked before an order or an amendment is sent.

Owns the rules of PRICE_FILTER, LOT_SIZE, MARKET_LOT_SIZE and MIN_NOTIONAL, of the position mode and of a good-till
date, and their public codes. Never rounds: who sends exact prices has rounded. Rules that need a mark price (percent
price, notional of market orders) are left to the venue, which this service sees no prices of; the sender counts open
orders. Used by the order manager.
"""

from decimal import Decimal

from pms_common.contracts.bus.orders import PlaceOrder, SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import is_multiple, plain

GOOD_TILL_AT_LEAST_MS = 600_000
GOOD_TILL_BEFORE_MS = 253_402_300_799_000
"""Bounds of goodTillDate (New-Order page, -5040): more than ten minutes ahead, before the year 10000."""


def check_order(spec: SymbolSpec | None, place: PlaceOrder, hedge_mode: bool, now_ms: int) -> None:
    """Raise `CommandError` where the venue would refuse the order."""
    if (place.position_side == "BOTH") is hedge_mode:
        text = f"{place.position_side} is no position side of this account's position mode"
        raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, text, field="positionSide")
    if (place.order_type == "LIMIT") is (place.price is None):
        raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, "a limit order has a price, no other has", field="price")
    if (place.time_in_force == "GTD") is (place.good_till_ms is None):
        text = "an order that is good till a date has that date, no other has"
        raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, text, field="timeInForce")
    good_till_ms = place.good_till_ms
    if good_till_ms is not None and not now_ms + GOOD_TILL_AT_LEAST_MS < good_till_ms < GOOD_TILL_BEFORE_MS:
        text = "the date of an order that is good till a date is more than ten minutes ahead"
        raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, text, field="goodTillDate")
    check_terms(spec, place, place.price, place.quantity)


def check_terms(spec: SymbolSpec | None, place: PlaceOrder, price: Decimal | None, quantity: Decimal) -> None:
    """Raise `CommandError` where the venue would refuse this price and quantity. `price` None: a market order."""
    symbol = place.symbol
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
    if not _exempt_from_notional(place) and price * quantity < spec.min_notional:
        text = f"{plain(price * quantity)} is below the minimum notional {plain(spec.min_notional)}"
        raise CommandError(ErrorCode.EXCHANGE_MIN_NOTIONAL, text, field="quantity")


def _exempt_from_notional(place: PlaceOrder) -> bool:
    """Reduce-only has no minimum notional; of a closing leg in hedge mode, where that flag is forbidden, the venue
    decides.
    """
    return place.reduce_only_on_venue or (place.reduce_only and place.position_side != "BOTH")


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
