"""How many orders an account may send a minute."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def order_rate(trial: Trial, account: Account, _: Computed) -> FieldError | None:
    """Refuse one order more within 60 seconds than the rules allow; closes are not counted and never refused."""
    limit = account.rules.max_orders_per_minute
    if not limit:
        return None
    sent = account.activity.orders(trial.now_ms)
    if sent < limit:
        return None
    message = f"{sent} orders were sent within the last minute, the maximum is {limit}"
    return refusal(ErrorCode.MAX_ORDER_RATE_EXCEEDED, message)
