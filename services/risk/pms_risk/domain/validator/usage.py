"""Check 8: the share of equity in use as margin."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.math import USAGE_CAP
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def usage(_: Trial, __: Account, computed: Computed) -> FieldError | None:
    """Refuse where margin use would reach 98 % of equity."""
    if computed.usage < USAGE_CAP:
        return None
    message = f"Margin use would be {computed.usage:.1%} of equity, the limit is {USAGE_CAP:.0%}: trade a smaller size"
    return refusal(ErrorCode.MARGIN_RATIO_EXCEEDED, message, "quantity")
