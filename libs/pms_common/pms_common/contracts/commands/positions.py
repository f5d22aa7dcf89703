"""Commands that close positions. Read by risk."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pms_common.contracts.commands.base import CLOSING_LIFE_MS, AccountRule, Command, WaitFor
from pms_common.contracts.rules import Id, Number, Price, Quantity, Report, Symbol


class Close(Command, frozen=True, kw_only=True):
    """Close a position at market: all of it, a quantity, or a fraction (0.3 is 30 %)."""

    TYPE: ClassVar[str] = "close"
    LIFE_MS: ClassVar[int | None] = CLOSING_LIFE_MS
    WAIT_FOR: ClassVar[WaitFor] = "final"
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    position_id: Id
    quantity: Quantity | None = None
    fraction: Annotated[Decimal | None, Number(gt=0, le=1)] = None

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        if "quantity" in given and "fraction" in given:
            report.refuse("fraction", "cannot be given together with quantity")


class CloseAll(Command, frozen=True, kw_only=True):
    """Stop the account's algos, cancel its orders and close its positions (on one symbol)."""

    TYPE: ClassVar[str] = "close_all"
    LIFE_MS: ClassVar[int | None] = CLOSING_LIFE_MS
    WAIT_FOR: ClassVar[WaitFor] = "final"
    symbol: Symbol | None = None


class LimitClose(Command, frozen=True, kw_only=True):
    """Close a whole position with a resting order at a price."""

    TYPE: ClassVar[str] = "limit_close"
    LIFE_MS: ClassVar[int | None] = CLOSING_LIFE_MS
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    position_id: Id
    price: Price
