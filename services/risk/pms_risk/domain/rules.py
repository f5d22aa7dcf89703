"""The limits an operator sets for an account.

Owns defaults and their meaning. Used by accounts, the validator's rules and the journal.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.decimals import ZERO

ALL_SYMBOLS = "*"


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits in quote currency. The defaults are those of the earlier engine (its reference, 1.4)."""

    max_leverage: Decimal = Decimal(100)
    max_notional_per_trade: Decimal = Decimal(200)
    max_total_exposure: Decimal = Decimal(500)
    liquidation_threshold: Decimal = Decimal("0.90")
    allowed_symbols: frozenset[str] = frozenset()
    """Empty: all."""
    max_open_orders: int = 200
    """The exchange allows 200 open orders a symbol, for all accounts together."""
    max_daily_loss: Decimal = ZERO
    """Since 00:00 UTC, realised and open together; 0: no limit."""
    max_orders_per_minute: int = 0
    """Orders that may open; 0: no limit."""

    def allows(self, symbol: str) -> bool:
        """Whether the account may take new risk on `symbol`."""
        return not self.allowed_symbols or symbol in self.allowed_symbols
