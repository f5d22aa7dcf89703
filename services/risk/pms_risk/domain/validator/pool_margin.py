"""The exchange account has the margin for one order more."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_common.decimals import ZERO
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def pool_margin(trial: Trial, _: Account, computed: Computed) -> FieldError | None:
    """Refuse what would need more initial margin at the exchange's leverage than the whole pool has left.

    What closes a position of the account needs none.
    """
    held = computed.opposite
    opening = trial.quantity - abs(held.quantity) if held is not None else trial.quantity
    needed = opening * computed.price / trial.exchange_leverage
    if trial.pool_room is None or needed <= max(trial.pool_room, ZERO):
        return None
    message = f"The exchange account has {trial.pool_room:.2f} of margin left for all accounts, {needed:.2f} is needed"
    return refusal(ErrorCode.EXCHANGE_MARGIN_INSUFFICIENT, message, "quantity")
