"""exchangeInfo: trading rules and rate limits.

Owns its form and the translation to `SymbolSpec`. Never does I/O. Used by the rules.
"""

from decimal import Decimal

import msgspec

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import ZERO
from pms_common.rate.window import Window
from pms_orders.adapters.binance.trading_wire import INTERVAL_MS
from pms_orders.domain.rate import Budget


class Filter(msgspec.Struct, rename="camel"):
    """One filter; which fields it has depends on its type. A zero disables a rule."""

    filter_type: str
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    tick_size: Decimal = ZERO
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    step_size: Decimal = ZERO
    notional: Decimal = ZERO
    limit: int = 0
    multiplier_up: Decimal = ZERO
    multiplier_down: Decimal = ZERO


class Symbol(msgspec.Struct, rename="camel"):
    """One symbol."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    filters: list[Filter]
    market_take_bound: Decimal = ZERO


class RateLimit(msgspec.Struct, rename="camel"):
    """One limit: `interval_num` × `interval`."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class ExchangeInfo(msgspec.Struct, rename="camel"):
    """What we read of exchangeInfo."""

    rate_limits: list[RateLimit]
    symbols: list[Symbol]


exchange_info = msgspec.json.Decoder(ExchangeInfo)
_NONE = Filter("")


def symbol_spec(symbol: Symbol) -> SymbolSpec:
    """A symbol's trading rules in our terms."""
    filters = {item.filter_type: item for item in symbol.filters}
    price = filters.get("PRICE_FILTER", _NONE)
    lot = filters.get("LOT_SIZE", _NONE)
    market = filters.get("MARKET_LOT_SIZE", lot)
    percent = filters.get("PERCENT_PRICE", _NONE)
    return SymbolSpec(
        symbol=symbol.symbol,
        status=symbol.status,
        base_asset=symbol.base_asset,
        quote_asset=symbol.quote_asset,
        margin_asset=symbol.margin_asset,
        tick_size=price.tick_size,
        min_price=price.min_price,
        max_price=price.max_price,
        step_size=lot.step_size,
        min_quantity=lot.min_qty,
        max_quantity=lot.max_qty,
        market_step_size=market.step_size,
        market_min_quantity=market.min_qty,
        market_max_quantity=market.max_qty,
        min_notional=filters.get("MIN_NOTIONAL", _NONE).notional,
        percent_price_up=percent.multiplier_up,
        percent_price_down=percent.multiplier_down,
        max_orders=filters.get("MAX_NUM_ORDERS", _NONE).limit,
        market_take_bound=symbol.market_take_bound,
    )


def apply_limits(budget: Budget, limits: list[RateLimit]) -> None:
    """Give the budget the venue's own limits; one of a kind that is not known is left alone."""
    known = {window.span_ms: window for window in budget.orders}
    for item in limits:
        span_ms = INTERVAL_MS.get(item.interval, 0) * item.interval_num
        if item.rate_limit_type == "REQUEST_WEIGHT" and span_ms == budget.weight.span_ms:
            budget.weight.set_limit(item.limit)
        elif item.rate_limit_type == "ORDERS" and span_ms:
            known.setdefault(span_ms, Window(span_ms, item.limit)).set_limit(item.limit)
    budget.orders = tuple(known.values())
