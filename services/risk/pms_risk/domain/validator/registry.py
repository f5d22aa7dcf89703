"""Which rules an order has to pass, in their order.

Used by the handlers that approve orders. A new rule is a file and a line here.
"""

from collections.abc import Callable
from typing import NamedTuple

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import FieldError
from pms_risk.domain.account import Account
from pms_risk.domain.validator.account_active import account_active
from pms_risk.domain.validator.account_exists import account_exists
from pms_risk.domain.validator.allowed_symbol import allowed_symbol
from pms_risk.domain.validator.daily_loss import daily_loss
from pms_risk.domain.validator.exposure import exposure
from pms_risk.domain.validator.isolated_margin import isolated_margin
from pms_risk.domain.validator.leverage import leverage
from pms_risk.domain.validator.limit_price import limit_price
from pms_risk.domain.validator.liquidating import liquidating
from pms_risk.domain.validator.margin import margin
from pms_risk.domain.validator.min_notional import min_notional
from pms_risk.domain.validator.notional import notional
from pms_risk.domain.validator.open_orders import open_orders
from pms_risk.domain.validator.order_rate import order_rate
from pms_risk.domain.validator.pool_margin import pool_margin
from pms_risk.domain.validator.price import price
from pms_risk.domain.validator.quantity import quantity
from pms_risk.domain.validator.reducible import reducible
from pms_risk.domain.validator.sound_numbers import sound_numbers
from pms_risk.domain.validator.symbol_frozen import symbol_frozen
from pms_risk.domain.validator.symbol_status import symbol_status
from pms_risk.domain.validator.trading_state import trading_state
from pms_risk.domain.validator.trial import Computed, Trial, compute
from pms_risk.domain.validator.usage import usage

PRECONDITIONS: tuple[Callable[[Trial], FieldError | None], ...] = (
    account_exists,
    sound_numbers,
    account_active,
    liquidating,
    trading_state,
    symbol_frozen,
    reducible,
    price,
)
"""The first that fails ends the check."""
LIMITS: tuple[Callable[[Trial, Account, Computed], FieldError | None], ...] = (
    leverage,
    notional,
    exposure,
    margin,
    isolated_margin,
    usage,
    allowed_symbol,
    open_orders,
    daily_loss,
    order_rate,
    pool_margin,
)
"""For new risk; all that fail are told."""
FILTERS: tuple[Callable[[Trial, SymbolSpec], FieldError | None], ...] = (
    symbol_status,
    quantity,
    limit_price,
    min_notional,
)
"""Of the symbol, for every order; all that fail are told."""


class Verdict(NamedTuple):
    """Why an order is refused (nothing: it is not), and the values it was judged by."""

    errors: tuple[FieldError, ...]
    computed: Computed | None = None


def validate(trial: Trial) -> Verdict:
    """Put an order to all rules that concern it."""
    for precondition in PRECONDITIONS:
        error = precondition(trial)
        if error is not None:
            return Verdict((error,))
    errors: list[FieldError] = []
    computed = None
    account = trial.account
    if account is not None and trial.mark is not None and trial.pnl is not None and not trial.reduce_only:
        computed = compute(trial, account, trial.mark, trial.pnl)
        errors += [error for rule in LIMITS if (error := rule(trial, account, computed)) is not None]
    spec = trial.spec
    if spec is not None:
        errors += [error for rule in FILTERS if (error := rule(trial, spec)) is not None]
    return Verdict(tuple(errors), computed)
