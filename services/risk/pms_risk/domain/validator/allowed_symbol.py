"""The account's list of symbols."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def allowed_symbol(trial: Trial, account: Account, _: Computed) -> FieldError | None:
    """Refuse new risk on a symbol that the account's rules do not list."""
    if account.rules.allows(trial.symbol):
        return None
    return refusal(ErrorCode.SYMBOL_NOT_ALLOWED, f"The account's rules do not allow {trial.symbol}", "symbol")
