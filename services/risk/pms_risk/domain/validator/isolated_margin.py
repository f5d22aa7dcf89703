"""An isolated position has more behind it than would have it liquidated."""

from pms_common.contracts.bus.base import PositionSide
from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.maintenance import lines, required
from pms_risk.domain.position import Position
from pms_risk.domain.validator.trial import Computed, Trial, refusal


def isolated_margin(trial: Trial, account: Account, computed: Computed) -> FieldError | None:
    """Refuse a leverage at which the margin that an isolated position gets is at its threshold from the start."""
    if not _isolates(trial, account, computed.opposite):
        return None
    cost = trial.quantity * computed.price
    of = lines(
        *(account.maintenance_mode, account.maintenance_rate, trial.quantity, cost),
        trial.brackets.get(trial.symbol, ()),
    )
    needed = required(of, computed.price)
    if needed < account.rules.liquidation_threshold * computed.required_margin:
        return None
    message = f"Isolated, it would be liquidated at once: its margin of {computed.required_margin:.2f} is too small"
    return refusal(ErrorCode.INSUFFICIENT_MARGIN, f"{message} for a maintenance margin of {needed:.2f}", "leverage")


def _isolates(trial: Trial, account: Account, opposite: Position | None) -> bool:
    """Whether what the order opens, or adds to, is isolated; what only closes opens nothing."""
    if account.margin_mode == "cross" and not account.isolated_notional:
        return False
    if opposite is not None:
        return account.margin_mode == "isolated" and trial.quantity > abs(opposite.quantity)
    own: PositionSide = "LONG" if trial.side == "BUY" else "SHORT"
    legs = [account.holding(trial.symbol, leg) for leg in ("BOTH", own)]
    held = next((holding.position for holding in legs if holding.position is not None), None)
    return held.isolated is not None if held is not None else account.margin_mode == "isolated"
