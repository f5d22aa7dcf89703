"""The trading state that operators set, for all, the account or the symbol."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def trading_state(trial: Trial) -> FieldError | None:
    """Halted: nothing. Reducing: only what reduces a position."""
    if trial.state == "halted":
        return refusal(ErrorCode.TRADING_HALTED, ErrorCode.TRADING_HALTED.meaning)
    if trial.state == "reducing" and not trial.reduce_only:
        return refusal(ErrorCode.TRADING_REDUCING, ErrorCode.TRADING_REDUCING.meaning)
    return None
