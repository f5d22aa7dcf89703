"""Check 3: there is a price for the symbol and for every position the account holds, and none of them is stale."""

from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.validator.trial import Trial, refusal


def price(trial: Trial) -> FieldError | None:
    """Refuse new risk without prices: an entry price never stands in for a missing one."""
    if trial.reduce_only:
        return None
    if trial.mark is None:
        return refusal(ErrorCode.NO_PRICE, f"No fresh price for {trial.symbol}", "symbol")
    if trial.pnl is None:
        return refusal(ErrorCode.NO_PRICE, "No fresh price for one of the account's open positions")
    return None
