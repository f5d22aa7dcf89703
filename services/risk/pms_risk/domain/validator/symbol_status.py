"""The symbol is open for trading and margined in the settlement asset."""

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import ErrorCode, FieldError
from pms_risk.domain.account import SETTLEMENT_ASSET
from pms_risk.domain.validator.trial import Trial, refusal


def symbol_status(trial: Trial, spec: SymbolSpec) -> FieldError | None:
    """Refuse a symbol that cannot be traded now, or that another asset margins."""
    if spec.status == "TRADING" and spec.margin_asset == SETTLEMENT_ASSET:
        return None
    message = f"{trial.symbol} is {spec.status}, margined in {spec.margin_asset}"
    return refusal(ErrorCode.SYMBOL_NOT_TRADING, message, "symbol")
