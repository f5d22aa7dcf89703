"""Check 2: the account may take new risk."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def account_active(trial: Trial) -> FieldError | None:
    """Refuse new risk of an account that is frozen or liquidated."""
    if trial.account is None or trial.account.status == "ACTIVE" or trial.reduce_only:
        return None
    return refusal(ErrorCode.ACCOUNT_FROZEN, f"The account is {trial.account.status}: no new risk")
