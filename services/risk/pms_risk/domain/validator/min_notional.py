"""The symbol's minimum notional."""

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def min_notional(trial: Trial, spec: SymbolSpec) -> FieldError | None:
    """Refuse quantity times price (market orders: times the mark) below the minimum."""
    price = trial.price if trial.price is not None else trial.mark
    if trial.venue_reduces or price is None or trial.quantity * price >= spec.min_notional:
        return None
    message = f"Notional {trial.quantity * price:.2f} is below the minimum of {spec.min_notional}"
    return refusal(ErrorCode.EXCHANGE_MIN_NOTIONAL, message, "quantity")
