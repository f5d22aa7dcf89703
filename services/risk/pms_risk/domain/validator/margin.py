"""Check 7: the order's own margin is available."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def margin(_: Trial, __: Account, computed: Computed) -> FieldError | None:
    """Refuse margin above equity less maintenance margin and reservations."""
    if computed.required_margin <= computed.available:
        return None
    message = f"Margin needed is {computed.required_margin:.2f}, available is {computed.available:.2f}"
    return refusal(ErrorCode.INSUFFICIENT_MARGIN, message, "quantity")
