"""How much an account may lose a day."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_common.decimals import ZERO
from pms_risk.domain.account import Account
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def daily_loss(trial: Trial, account: Account, _: Computed) -> FieldError | None:
    """Refuse new risk once the day's realised loss and the open loss together reach the limit."""
    limit = account.rules.max_daily_loss
    if not limit:
        return None
    loss = -account.activity.result(trial.now_ms) - min(trial.pnl or ZERO, ZERO)
    if loss < limit:
        return None
    message = f"Today's loss is {loss:.2f}, the limit is {limit:.2f}: no new risk until 00:00 UTC"
    return refusal(ErrorCode.MAX_DAILY_LOSS_REACHED, message)
