"""Check 6: the account's total exposure."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def exposure(_: Trial, account: Account, computed: Computed) -> FieldError | None:
    """Refuse where positions, live orders and this order together pass the maximum."""
    total = computed.exposure + computed.notional
    limit = account.rules.max_total_exposure
    if total <= limit:
        return None
    message = f"Total exposure would be {total:.2f}, above the maximum of {limit:.2f}"
    return refusal(ErrorCode.MAX_EXPOSURE_EXCEEDED, message, "quantity")
