"""A reduce-only order has a position of its account to reduce."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.holding import CLOSING
from pms_risk.domain.validator.trial import Trial, refusal


def reducible(trial: Trial) -> FieldError | None:
    """Refuse a reduce-only order in whose direction nothing is held; how much is free, the reservation decides."""
    account = trial.account
    if not trial.reduces or account is None:
        return None
    legs = ("BOTH", *(leg for leg, side in CLOSING.items() if side == trial.side))
    if any(account.holding(trial.symbol, leg).closable(trial.side) for leg in legs):
        return None
    return refusal(ErrorCode.REDUCE_ONLY_REJECTED, "There is no position that an order of this side reduces", "side")
