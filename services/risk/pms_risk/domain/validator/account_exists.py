"""Check 1: the account exists."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def account_exists(trial: Trial) -> FieldError | None:
    """Refuse an unknown account."""
    if trial.account is not None:
        return None
    return refusal(ErrorCode.ACCOUNT_NOT_FOUND, "No such account", "subAccountId")
