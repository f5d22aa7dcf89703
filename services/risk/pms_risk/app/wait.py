"""A request that waits: its orders, and for what of it each of them is.

Owns the form in which it is kept, and when what it waits for has happened. Used by `waits`, `results` and the handlers.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.contracts.base import PositionSide
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderView
from pms_common.decimals import ZERO

FINAL_WAIT_MS = 5_000
UNDECIDED = ("placing", "unknown")
"""States in which the exchange has not said, or may not have said, that it took the order."""


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one order of a request: the newest view, by the order service's epoch and its version.

    `item` tells for which position or leg of the request the order is; `cancels` marks one that it only cancels.
    """

    view: OrderView | None = None
    epoch: int = 0
    commission: Decimal = ZERO
    profit: Decimal = ZERO
    error_code: str | None = None
    error: str | None = None
    item: str = ""
    cancels: bool = False

    @property
    def final(self) -> bool:
        """Whether the order has ended."""
        return self.view is not None and self.view.state in FINAL_STATES


class Item(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One position, level or leg of a request, and why an order for it could not be sent.

    `open` while further orders for it may follow. Of a level, `price` and `quantity` as they were wanted; `taken_*` is
    what the house has taken over instead of an order.
    """

    symbol: str
    position_id: str = ""
    side: PositionSide = "LONG"
    open: bool = False
    error_code: str | None = None
    error: str | None = None
    price: Decimal | None = None
    quantity: Decimal = ZERO
    taken_quantity: Decimal = ZERO
    taken_value: Decimal = ZERO
    taken_profit: Decimal = ZERO


class Wait(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request and its orders. `given_account` is the account as the sender gave it, under which it is marked."""

    request_id: str
    given_account: str
    account_id: str
    command: str
    until: Literal["ack", "final"]
    deadline_ms: int
    orders: dict[str, Outcome] = {}
    items: dict[str, Item] = {}
    warnings: tuple[str, ...] = ()
    flipped: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        """The request's key in the hash, and for those that add orders to it."""
        return f"{self.given_account}\x1f{self.request_id}"

    @property
    def over(self) -> bool:
        """Whether what it waits for has happened."""
        if any(item.open for item in self.items.values()):
            return False
        if self.until == "final":
            return all(outcome.final for outcome in self.orders.values())
        return all(outcome.view is not None and outcome.view.state not in UNDECIDED for outcome in self.orders.values())
