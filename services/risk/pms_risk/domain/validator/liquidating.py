"""What a liquidation is closing is left to it."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def liquidating(trial: Trial) -> FieldError | None:
    """Refuse every order, closing ones too, where a liquidation is under way: all closing quantity is its own."""
    if not trial.liquidating:
        return None
    return refusal(ErrorCode.ACCOUNT_LIQUIDATING, ErrorCode.ACCOUNT_LIQUIDATING.meaning)
