"""The house: what belongs to the pool and to no account.

Owns cash per (book, asset) and the positions of the external book. Every entry has a cause of its own; none is made up
to balance. Σ accounts + house = the exchange's wallet, per asset. Used by `books`.

Books: `capital` (the wallet not given to an account), `netting:{symbol}` (the exchange realises profit by the pooled
entry price, an account by its own; the difference is here, and near zero whenever the symbol is flat everywhere),
`external` (executions that belong to no account, and what was taken over from accounts), `bad_debt` (what accounts owed
when they had nothing left), `commission` (commissions in another asset: what the exchange took of it, and what the
accounts paid for that), `rounding` (the exchange's funding payments less those of the holders), `insurance` and
`income` (the exchange's other payments).
"""

from decimal import Decimal

from pms_common.contracts.bus.base import PositionSide
from pms_common.decimals import ZERO
from pms_risk.domain.account import SETTLEMENT_ASSET
from pms_risk.domain.ledger import Entry, post
from pms_risk.domain.position import Position

HOUSE = "house"
"""Owner of the house's positions, where an account id would stand."""
POOL = "pool"
"""In the place of an owner: a forced close, whose parts its moves tell."""
CAPITAL = "capital"
EXTERNAL = "external"
COMMISSION = "commission"
BAD_DEBT = "bad_debt"
ROUNDING = "rounding"
INSURANCE = "insurance"
INCOME = "income"
_NETTING = "netting:"


def netting(symbol: str) -> str:
    """The book of differences on a symbol."""
    return f"{_NETTING}{symbol}"


class House:
    """Cash by book and asset, and positions that no account owns."""

    def __init__(self) -> None:
        self.cash: dict[tuple[str, str], Decimal] = {}
        self.positions: dict[tuple[str, PositionSide], Position] = {}
        self.opened_ms: int | None = None
        """When the exchange's wallet was taken over, the very first time it was seen: earlier executions are in it."""

    def book(
        self,
        book: str,
        amount: Decimal,
        *,
        key: str,
        cause: str,
        reference: str,
        at_ms: int,
        asset: str = SETTLEMENT_ASSET,
    ) -> Entry:
        """Change the cash of a book by `amount`; the entry to keep."""
        entry = post(self.cash.get((book, asset), ZERO), amount, key, book, asset, cause, reference, at_ms)
        self.cash[book, asset] = entry.after
        return entry

    def total(self, asset: str) -> Decimal:
        """Cash over all books."""
        return sum((cash for (_, held), cash in self.cash.items() if held == asset), ZERO)

    def free(self, asset: str = SETTLEMENT_ASSET) -> Decimal:
        """Cash that can be given to accounts: without the netting books, which belong to open positions."""
        return sum(
            (cash for (book, held), cash in self.cash.items() if held == asset and not book.startswith(_NETTING)), ZERO
        )
