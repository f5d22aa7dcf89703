"""Check 4: leverage."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def leverage(trial: Trial, account: Account, _: Computed) -> FieldError | None:
    """Refuse leverage above the account's maximum."""
    limit = account.rules.max_leverage
    if trial.leverage <= limit:
        return None
    message = f"Leverage {trial.leverage} is above the maximum of {limit}"
    return refusal(ErrorCode.MAX_LEVERAGE_EXCEEDED, message, "leverage")
