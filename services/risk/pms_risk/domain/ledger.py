"""Cash and its history: no balance changes without an entry that says why.

Owns the form of ledger entries. A balance is the sum of its entries; nothing is clamped and nothing is overwritten.
Used by accounts (cash of a virtual account) and the house (cash per book and asset).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Cause = Literal[
    "realized_pnl",  # profit of a close, by the own entry price
    "commission",  # paid for an execution
    "deposit",  # house → account
    "withdrawal",  # account → house
    "admin_set",  # house → account: the JS application has set the balance
    "account_closed",  # account → house: what a deleted account still had
    "opening_wallet",  # the exchange's wallet when it was first seen
    "unseen_payment",  # of nothing: a payment after that whose line may be dated before it
    "bad_debt",  # an account without a position owed more than it had: the house bears it
    "funding",  # paid or got for a position at a funding instant, by its rate
    "insurance_clear",  # the exchange's fee of a liquidation
    "netting",  # the exchange's profit of an execution less the profit booked to its owner
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of one balance. `key` is derived from the cause and unique; `reference` is the fill or request.

    `holder` is an account id, or the name of a house book. `cause` is a `Cause`, or the income type of a cash flow in
    lower case.
    """

    key: str
    holder: str
    asset: str
    cause: str
    amount: Decimal
    before: Decimal
    after: Decimal
    reference: str
    at_ms: int


class UnbalancedError(Exception):
    """A change that decimal arithmetic at this precision cannot hold exactly."""


def post(
    balance: Decimal, amount: Decimal, key: str, holder: str, asset: str, cause: str, reference: str, at_ms: int
) -> Entry:
    """The entry that changes `balance` by `amount`."""
    after = balance + amount
    if after - balance != amount:
        raise UnbalancedError(f"{holder} {asset}: {balance} + {amount} is not exact")
    return Entry(key, holder, asset, cause, amount, balance, after, reference, at_ms)
