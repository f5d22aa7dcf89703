"""Commands of the TWAP and of the basket TWAP. Read by algos."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pms_common.contracts.base import Wire
from pms_common.contracts.commands.base import OPENING_LIFE_MS, AccountRule, Command, Owner
from pms_common.contracts.commands.orders import MAX_LEGS
from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.rules import (
    Alias,
    Bool,
    Id,
    Integer,
    Leverage,
    Number,
    OrderSide,
    Price,
    Quantity,
    Report,
    Symbol,
    Usdt,
)
from pms_common.contracts.shapes import Items

Lots = Annotated[int, Integer(2, 100)]
DurationMinutes = Annotated[Decimal, Number(ge=1, le=720), Alias("duration")]


class Twap(Command, frozen=True, kw_only=True):
    """Spread an order evenly over time: `total_size` in USDT notional, or `quantity` in base coin.

    `jitter` varies the intervals, `irregular` the lots; a lot waits while the price is beyond `price_limit`.
    """

    TYPE: ClassVar[str] = "twap"
    OWNER: ClassVar[Owner] = "algos"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    symbol: Symbol
    side: OrderSide
    total_size: Usdt | None = None
    quantity: Quantity | None = None
    lots: Lots
    duration_minutes: DurationMinutes
    leverage: Leverage
    jitter: Bool = False
    irregular: Bool = False
    price_limit: Price | None = None
    replaces_id: Id | None = None

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        if "total_size" not in given and "quantity" not in given:
            code = ErrorCode.VALIDATION_TWAP_MISSING_SIZE
            report.refuse("totalSize", "is required: give totalSize (USDT) or quantity", code)
        if "total_size" in given and "quantity" in given:
            report.refuse("quantity", "cannot be given together with totalSize")


class TwapBasketLeg(Wire, frozen=True, kw_only=True):
    """One symbol of a basket TWAP; `size_usdt` is its whole notional."""

    symbol: Symbol
    side: OrderSide
    size_usdt: Usdt
    leverage: Leverage


class TwapBasket(Command, frozen=True, kw_only=True):
    """Several TWAPs with one schedule."""

    TYPE: ClassVar[str] = "twap_basket"
    OWNER: ClassVar[Owner] = "algos"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    legs: Annotated[tuple[TwapBasketLeg, ...], Items(TwapBasketLeg, 1, MAX_LEGS)]
    lots: Lots
    duration_minutes: DurationMinutes
    basket_name: Id = "Unnamed Index"
    jitter: Bool = False
    irregular: Bool = False
    replaces_id: Id | None = None


class OneTwap(Command, frozen=True, kw_only=True):
    """Base of the commands that name one TWAP."""

    OWNER: ClassVar[Owner] = "algos"
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    twap_id: Id


class TwapCancel(OneTwap, frozen=True, kw_only=True):
    """End a TWAP and cancel its resting lot."""

    TYPE: ClassVar[str] = "twap_cancel"


class TwapPause(OneTwap, frozen=True, kw_only=True):
    """Cancel a TWAP's resting lot and wait."""

    TYPE: ClassVar[str] = "twap_pause"


class TwapResume(OneTwap, frozen=True, kw_only=True):
    """Go on with a paused TWAP."""

    TYPE: ClassVar[str] = "twap_resume"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS


class OneTwapBasket(Command, frozen=True, kw_only=True):
    """Base of the commands that name one basket TWAP."""

    OWNER: ClassVar[Owner] = "algos"
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    twap_basket_id: Id


class TwapBasketCancel(OneTwapBasket, frozen=True, kw_only=True):
    """End a basket TWAP and cancel its resting lots."""

    TYPE: ClassVar[str] = "twap_basket_cancel"


class TwapBasketPause(OneTwapBasket, frozen=True, kw_only=True):
    """Cancel a basket TWAP's resting lots and wait."""

    TYPE: ClassVar[str] = "twap_basket_pause"


class TwapBasketResume(OneTwapBasket, frozen=True, kw_only=True):
    """Go on with a paused basket TWAP."""

    TYPE: ClassVar[str] = "twap_basket_resume"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
