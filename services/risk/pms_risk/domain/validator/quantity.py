"""The symbol's quantity filters."""

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import ErrorCode, FieldError
from pms_common.decimals import is_multiple
from pms_risk.domain.validator.trial import Trial, refusal


def quantity(trial: Trial, spec: SymbolSpec) -> FieldError | None:
    """Refuse a quantity off the step, below the minimum or above the maximum (market orders have their own)."""
    if trial.price is None:
        step, least, most = spec.market_step_size, spec.market_min_quantity, spec.market_max_quantity
    else:
        step, least, most = spec.step_size, spec.min_quantity, spec.max_quantity
    if trial.quantity < least:
        return refusal(ErrorCode.FILTER_QUANTITY, f"quantity is below the minimum of {least}", "quantity")
    if most and trial.quantity > most:
        return refusal(ErrorCode.FILTER_QUANTITY, f"quantity is above the maximum of {most}", "quantity")
    if not is_multiple(trial.quantity, step):
        return refusal(ErrorCode.FILTER_QUANTITY, f"quantity is no multiple of {step}", "quantity")
    return None
