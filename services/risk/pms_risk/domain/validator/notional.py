"""Check 5: the size of one trade."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def notional(_: Trial, account: Account, computed: Computed) -> FieldError | None:
    """Refuse quantity times price above the account's maximum for one trade."""
    limit = account.rules.max_notional_per_trade
    if computed.notional <= limit:
        return None
    message = f"Notional {computed.notional:.2f} is above the maximum of {limit:.2f} a trade"
    return refusal(ErrorCode.MAX_NOTIONAL_EXCEEDED, message, "quantity")
