"""Books and exchange agree on the symbol."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def symbol_frozen(trial: Trial) -> FieldError | None:
    """Refuse new risk on a symbol with a confirmed difference."""
    if not trial.symbol_frozen or trial.reduce_only:
        return None
    return refusal(ErrorCode.SYMBOL_FROZEN, ErrorCode.SYMBOL_FROZEN.meaning, "symbol")
