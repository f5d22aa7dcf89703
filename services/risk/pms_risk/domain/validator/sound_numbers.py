"""Quantity, leverage and price are numbers one can calculate with, whoever sent them."""

from decimal import Decimal

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def sound_numbers(trial: Trial) -> FieldError | None:
    """Refuse what is not finite, a quantity or price that is not positive, a negative leverage."""
    if not _positive(trial.quantity):
        return refusal(ErrorCode.VALIDATION_FAILED, "quantity must be a positive number", "quantity")
    if not trial.leverage.is_finite() or trial.leverage < 0:
        return refusal(ErrorCode.VALIDATION_FAILED, "leverage must be a positive number", "leverage")
    if trial.price is not None and not _positive(trial.price):
        return refusal(ErrorCode.VALIDATION_FAILED, "price must be a positive number", "price")
    return None


def _positive(value: Decimal) -> bool:
    return value.is_finite() and value > 0
