"""Reserving for an approval: margin and commission of everything in flight stay within equity.

Owns the rule that used margin + reserved margin + commission of what may open never exceed equity when something is
approved. Used by the handlers after the validator has passed an order.
"""

from collections.abc import Sequence
from decimal import Decimal

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_risk.domain.account import Account
from pms_risk.domain.orders import LiveOrder


def committed(account: Account, fee_rate: Decimal) -> Decimal:
    """Margin used and reserved, and the commission of what live orders may open, in quote currency."""
    return account.margin + account.reserved_margin + account.reserved_notional * fee_rate


def reserve(account: Account, orders: Sequence[LiveOrder], equity: Decimal, fee_rate: Decimal) -> None:
    """Put the orders into the account, all or none. Raises INSUFFICIENT_MARGIN.

    What needs nothing more than before (it only closes) is always taken.
    """
    before = committed(account, fee_rate)
    for order in orders:
        account.put_order(order)
    needed = committed(account, fee_rate)
    if needed <= equity or needed <= before:
        return
    for order in orders:
        account.drop_order(order.client_order_id)
    raise CommandError(
        ErrorCode.INSUFFICIENT_MARGIN,
        f"Margin and commission would reach {needed:.2f} at the worst price, equity is {equity:.2f}",
        field="quantity",
    )
