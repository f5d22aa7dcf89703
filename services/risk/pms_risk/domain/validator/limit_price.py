"""The symbol's price filters, for orders with a price."""

from decimal import Decimal

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import ErrorCode, FieldError
from pms_common.decimals import is_multiple
from pms_risk.domain.validator.trial import Trial, refusal


def limit_price(trial: Trial, spec: SymbolSpec) -> FieldError | None:
    """Refuse a price off the tick, outside the bounds, or too far beyond the market (PERCENT_PRICE)."""
    price = trial.price
    if price is None:
        return None
    if not is_multiple(price, spec.tick_size):
        return refusal(ErrorCode.FILTER_PRICE, f"price is no multiple of {spec.tick_size}", "price")
    if price < spec.min_price or (spec.max_price and price > spec.max_price):
        message = f"price is outside {spec.min_price} to {spec.max_price}"
        return refusal(ErrorCode.FILTER_PRICE, message, "price")
    return _percent_price(trial, spec, price) if trial.mark is not None else None


def _percent_price(trial: Trial, spec: SymbolSpec, price: Decimal) -> FieldError | None:
    """A buy may not be above the mark times the upper multiplier, a sell not below it times the lower one."""
    mark = trial.mark or Decimal(0)
    if trial.side == "BUY" and spec.percent_price_up and price > mark * spec.percent_price_up:
        most = mark * spec.percent_price_up
        return refusal(ErrorCode.FILTER_PRICE, f"price is above {most:.8f}, the most a buy may bid now", "price")
    if trial.side == "SELL" and spec.percent_price_down and price < mark * spec.percent_price_down:
        least = mark * spec.percent_price_down
        return refusal(ErrorCode.FILTER_PRICE, f"price is below {least:.8f}, the least a sell may ask now", "price")
    return None
