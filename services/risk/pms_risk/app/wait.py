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
    cause: str = ""

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


class Amendment(msgspec.Struct, kw_only=True):
    """New terms of an order; `successor` is what is placed instead where it cannot be amended.

    `superseded`: newer terms were asked for meanwhile, so any will do.
    """

    order_id: str
    successor: str
    price: Decimal
    quantity: Decimal
    superseded: bool = False

    def holds(self, outcome: Outcome) -> bool:
        """Whether the order has the terms."""
        view = outcome.view
        if view is None or view.state == "amending":
            return False
        return (view.price, view.quantity) == (self.price, self.quantity) or (
            self.superseded and outcome.cause == "amended"
        )


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
    amends: Amendment | None = None
    traceparent: str = ""

    @property
    def name(self) -> str:
        """The request's key in the hash, and for those that add orders to it."""
        return f"{self.given_account}\x1f{self.request_id}"

    @property
    def over(self) -> bool:
        """Whether what it waits for has happened."""
        if self.amends is not None:
            return self._amended(self.amends)
        if any(item.open for item in self.items.values()):
            return False
        if self.until == "final":
            return all(outcome.final for outcome in self.orders.values())
        return all(outcome.view is not None and outcome.view.state not in UNDECIDED for outcome in self.orders.values())

    def _amended(self, amends: Amendment) -> bool:
        if self.orders[amends.order_id].cause == "amend_failed":
            return True
        standing = self.standing(amends)
        if standing is None:
            return self.orders[amends.order_id].final
        return (
            standing.final
            if self.until == "final"
            else standing.view is not None and (standing.view.state not in UNDECIDED)
        )

    def standing(self, amends: Amendment) -> Outcome | None:
        """The order that has the new terms: the one that was amended, or what was placed instead."""
        old, new = self.orders[amends.order_id], self.orders[amends.successor]
        if old.final and new.view is not None:
            return new
        return old if amends.holds(old) else None
