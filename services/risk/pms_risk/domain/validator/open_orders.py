"""How many orders an account may have open."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def open_orders(_: Trial, account: Account, __: Computed) -> FieldError | None:
    """Refuse one order more than the rules allow."""
    limit = account.rules.max_open_orders
    if len(account.orders) < limit:
        return None
    return refusal(ErrorCode.MAX_OPEN_ORDERS_EXCEEDED, f"{len(account.orders)} orders are open, the maximum is {limit}")
